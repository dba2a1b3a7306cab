# bash completion for lone, printed by lone --generate=bash
_lone() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' each
  if [[ $before == '=' ]]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi
  if [[ $word == '=' ]]; then word=''; fi
  case $command in
  '')
    case $before in
    --rate) return ;;
    *) words='--rate' ;;
    esac
    ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _lone lone
