# complete.fish SCRIPT LINE ...  What fish completes each line to, a completion a line and -- behind each line's.
source $argv[1]
for line in $argv[2..]
    # A tab and a description may follow.
    complete -C $line | string replace -r '\t.*' ''
    printf '%s\n' --
end
