# complete.bash SCRIPT LINE ...  What bash completes each line to, a completion a line and -- behind each line's.
source "$1"; shift
for line in "$@"; do
  read -ra COMP_WORDS <<< "${line//=/ = }" # as bash breaks words
  [[ $line == *' ' ]] && COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _polylaplace
  printf '%s\n' "${COMPREPLY[@]}" --
done
