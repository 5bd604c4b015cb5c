import type { Command } from 'commander';
import { print } from './output.js';

/** `pigeonhole completion bash|zsh|fish` */
export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description('Writes out what makes a shell complete commands, flags and keys.')
    .addArgument(program.createArgument('<shell>').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', HELP)
    .action((shell: 'bash' | 'zsh' | 'fish') => print(SCRIPTS[shell]));
}

const HELP = `
  bash: source <(pigeonhole completion bash)          in ~/.bashrc
  zsh:  source <(pigeonhole completion zsh)           in ~/.zshrc, after compinit
  fish: pigeonhole completion fish | source           in ~/.config/fish/config.fish
Keys are asked of the server of --url, --profile, PIGEONHOLE_URL or PIGEONHOLE_PROFILE; if it does
not answer within 300 ms there are none.`;

/*
 * The scripts ask `pigeonhole complete` with the words up to the cursor, and know nothing of commands themselves. Where it has
 * no answer, they complete files.
 */

// Bash begins a new word at a colon and at an equals sign, which keys may have: what comes before the last one stays as it is.
const BASH = `_pigeonhole() {
  local line=\${COMP_LINE:0:COMP_POINT} words current kept='' each
  read -a words <<<"$line"
  case $line in *[[:space:]]) words+=('') ;; esac
  current=\${words[\${#words[@]} - 1]}
  case $current in *[:=]*) kept=\${current%"\${current##*[:=]}"} ;; esac
  COMPREPLY=()
  while IFS= read -r each; do
    printf -v each '%q' "\${each#"$kept"}"
    COMPREPLY+=("$each")
  done < <(pigeonhole complete -- "\${words[@]:1}" 2>/dev/null)
}
complete -o default -F _pigeonhole pigeonhole
`;

const ZSH = `#compdef pigeonhole
_pigeonhole() {
  local -a found
  found=("\${(@f)$(pigeonhole complete -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  found=(\${found:#})
  if (( $#found )); then compadd -- "\${found[@]}"; else _files; fi
}
compdef _pigeonhole pigeonhole
`;

const FISH = `function __pigeonhole_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l found (pigeonhole complete -- $words[2..-1] 2>/dev/null)
  if set -q found[1]
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c pigeonhole -f -a '(__pigeonhole_complete)'
`;

const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH };
