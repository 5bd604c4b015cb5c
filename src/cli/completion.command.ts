import { Argument, type Command } from 'commander';
import { connect } from './api-client.js';
import { print } from './output.js';

const MOST_KEYS = 50;
const PATIENCE_MS = 300;

/** `pigeonhole completion bash|zsh|fish` */
export function addCompletionCommand(program: Command, commands: readonly string[]): void {
  program
    .command('completion')
    .description('Writes out what makes a shell complete commands and keys.')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', HELP)
    .action((shell: 'bash' | 'zsh' | 'fish') =>
      print(SCRIPTS[shell].replaceAll('COMMANDS', commands.join(' '))),
    );
}

const HELP = `
  bash: source <(pigeonhole completion bash)          in ~/.bashrc
  zsh:  source <(pigeonhole completion zsh)           in ~/.zshrc, after compinit
  fish: pigeonhole completion fish | source           in ~/.config/fish/config.fish
Keys are asked of the server of PIGEONHOLE_URL or PIGEONHOLE_PROFILE; if it does not answer
within 300 ms there are none.`;

/** What the scripts ask keys with. It says nothing when it fails: nobody wants that in the middle of a line. */
export function addKeysCommand(program: Command): void {
  program
    .command('keys-for-completion', { hidden: true })
    .argument('[prefix]', '', '')
    .action(async (prefix: string) => {
      try {
        const db = await connect({}, { retries: 0 });
        const signal = AbortSignal.timeout(PATIENCE_MS);
        const { items } = await db.list({ prefix, limit: MOST_KEYS, signal });
        // oxlint-disable-next-line no-control-regex
        const keys = items.map(({ key }) => key).filter((key) => !/[\u0000-\u001f\u007f-\u009f]/.test(key));
        await print(keys.map((key) => `${key}\n`).join(''));
      } catch {
        process.exitCode = 1;
      }
    });
}

const WITH_KEY = 'get put del ls incr touch info edit watch';

const BASH = `_pigeonhole() {
  local current=\${COMP_WORDS[COMP_CWORD]} command=\${COMP_WORDS[1]} line
  COMPREPLY=()
  # In bash a colon begins a new word; keys may have some.
  if declare -F _get_comp_words_by_ref >/dev/null; then
    local words cword
    _get_comp_words_by_ref -n : -w words -i cword -c current
    command=\${words[1]}
    [ "$cword" -eq 1 ] && command=
  elif [ "$COMP_CWORD" -eq 1 ]; then command=; fi
  if [ -z "$command" ]; then
    COMPREPLY=($(compgen -W "COMMANDS" -- "$current"))
    return
  fi
  case " ${WITH_KEY} " in *" $command "*) ;; *) return ;; esac
  case $current in -*) return ;; esac
  local plain
  plain=$(printf '%s' "$current" | sed 's/\\\\\\(.\\)/\\1/g')
  while IFS= read -r line; do COMPREPLY+=("$(printf '%q' "$line")"); done < <(pigeonhole keys-for-completion -- "$plain" 2>/dev/null)
  if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$current"; fi
}
complete -o default -F _pigeonhole pigeonhole
`;

const ZSH = `#compdef pigeonhole
_pigeonhole() {
  local -a keys
  if (( CURRENT == 2 )); then
    compadd -- COMMANDS
    return
  fi
  case " ${WITH_KEY} " in *" $words[2] "*) ;; *) _files; return ;; esac
  keys=("\${(@f)$(pigeonhole keys-for-completion -- "\${(Q)PREFIX}" 2>/dev/null)}")
  keys=(\${keys:#})
  compadd -- "\${keys[@]}"
}
if (( $+functions[compdef] )); then compdef _pigeonhole pigeonhole; fi
`;

const FISH = `complete -c pigeonhole -n __fish_use_subcommand -f -a 'COMMANDS'
complete -c pigeonhole -n '__fish_seen_subcommand_from ${WITH_KEY}' -f -a '(pigeonhole keys-for-completion -- (commandline -ct) 2>/dev/null)'
`;

const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH };
