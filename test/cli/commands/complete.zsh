# complete.zsh SCRIPT LINE ...  What zsh completes each line to, a completion a line and -- behind each line's.
# Completion works in the line editor alone: another zsh has a pseudo-terminal, where what is offered is written down.
zmodload zsh/zpty
answers=$PWD/answers.txt
zpty shell zsh -f -i
zpty -w shell "source ${(q)1}; answers=${(q)answers}; : > \$answers"
zpty -w shell 'compadd() {
  local -a offered
  builtin compadd -A offered "$@"
  print -rl -- $offered >> $answers
  builtin compadd "$@"
}
answer() { zle expand-or-complete; print -- -- >> $answers; BUFFER=; zle -I; print ANSW""ERED }
zle -N answer; bindkey "^I" answer; print REA""DY'
zpty -r -m shell output '*READY*'
shift
for line in "$@"; do
  zpty -w -n shell "$line"$'\t'
  zpty -r -m shell output '*ANSWERED*'
done
zpty -d shell
cat $answers
