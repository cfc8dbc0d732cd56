/** @file `polylaplace completion`: a script by which a shell completes commands, options and their words. */
import { oneOf } from '../../core/errors/suggest.js'
import type { Command } from './command.js'

/** What there is to complete: the options of each command, with their words where they have some. */
export type Completions = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>

const SHELLS = ['bash', 'zsh', 'fish'] as const

/** The command `completion`, for these commands. */
export function completion(commands: () => Promise<readonly Command[]>): Command {
  return {
    name: 'completion',
    summary: 'completion of commands, options and words in bash, zsh or fish',
    positionals: ['SHELL'],
    options: {},
    run: async ({ positionals: [name] }, terminal) => {
      const shell = oneOf('shell', name, SHELLS)
      terminal.write(SCRIPTS[shell](completionsOf(await commands())))
    },
  }
}

function completionsOf(commands: readonly Command[]): Completions {
  return new Map(
    commands.map((
      { name, options },
    ) => [name,
      new Map(Object.entries(options).map(([flag, { help, type }]) => [flag, type === 'boolean' ? [] : wordsOf(help)]))]
    ),
  )
}

/** The words of a list such as `csv | json | npy`. */
function wordsOf(help: string): string[] {
  const list = /[\w.-]+(?: \([^)]*\))?(?: \| [\w.-]+(?: \([^)]*\))?)+/.exec(help)?.[0]
  return list === undefined ? [] : list.split(' | ').map(word => word.replace(/ \(.*\)$/, ''))
}

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], (completions: Completions) => string>> = {
  bash: bashScript,
  // zsh completes by bash's functions.
  zsh: completions =>
    `#compdef polylaplace\nautoload -U +X compinit && compinit\nautoload -U +X bashcompinit && ` +
    `bashcompinit\n${bashScript(completions)}`,
  fish: fishScript,
}

function bashScript(completions: Completions): string {
  const words = [...completions].flatMap(([command, options]) =>
    [...options].flatMap(([flag, list]) => (list.length === 0 ? [] : [[`${command} --${flag}`, list] as const]))
  )
  return [
    '# polylaplace: source this file, for example from ~/.bashrc',
    '_polylaplace() {',
    '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" command="${COMP_WORDS[1]}"',
    '  local prefix=',
    '  COMPREPLY=()',
    // --option=word: three words in bash, one in zsh.
    '  if [ "$current" = = ]; then current=',
    '  elif [ "$previous" = = ]; then previous="${COMP_WORDS[COMP_CWORD-2]}"',
    '  else case "$current" in --*=*)',
    '    previous="${current%%=*}"; prefix="$previous="; current="${current#*=}";; esac; fi',
    `  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${[...completions.keys()].join(' ')}" -- "$current"))`,
    '    return; fi',
    '  case "$command $previous" in',
    ...words.map(([option, list]) =>
      `    "${option}") COMPREPLY=($(compgen -P "$prefix" -W "${list.join(' ')}" -- "$current")); return;;`
    ),
    '  esac',
    '  case "$current" in -*) case "$command" in',
    ...[...completions].map(([command, options]) =>
      `    ${command}) COMPREPLY=($(compgen -W "${
        [...options.keys(), 'help'].map(flag => `--${flag}`).join(' ')
      }" -- "$current"));;`
    ),
    '  esac; return;; esac',
    '  if [ "$command" = completion ]; then',
    `    COMPREPLY=($(compgen -W "${SHELLS.join(' ')}" -- "$current")); return; fi`,
    // One file a line: names have spaces. zsh looks for files by PREFIX, whatever compgen is asked.
    "  local IFS=$'\\n'",
    '  COMPREPLY=($(PREFIX="$current"; compgen -f -- "$current")); COMPREPLY=("${COMPREPLY[@]/#/$prefix}")',
    '}',
    'complete -o filenames -F _polylaplace polylaplace',
    '',
  ].join('\n')
}

function fishScript(completions: Completions): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", "\\'")}'`
  return ['# polylaplace: save this as ~/.config/fish/completions/polylaplace.fish',
    `complete -c polylaplace -n __fish_use_subcommand -f -a ${quoted([...completions.keys()].join(' '))}`,
    `complete -c polylaplace -n '__fish_seen_subcommand_from completion' -f -a ${quoted(SHELLS.join(' '))}`,
    "complete -c polylaplace -n 'not __fish_use_subcommand' -l help",
    ...[...completions].flatMap(([command, options]) =>
      [...options].map(([flag, list]) =>
        `complete -c polylaplace -n '__fish_seen_subcommand_from ${command}' -l ${flag}${
          list.length === 0 ? '' : ` -x -a ${quoted(list.join(' '))}`
        }`
      )
    ), ''].join('\n')
}
