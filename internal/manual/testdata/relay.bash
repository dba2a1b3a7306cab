# bash completion for relay, printed by relay --generate=bash
_relay() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' each
  if [[ $before == '=' ]]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi
  if [[ $word == '=' ]]; then word=''; fi
  for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $each in run | end | read) command=$each && break ;; esac
  done
  case $command in
  '')
    case $before in
    *) case $word in -*) words='-h --help' ;; *) words='run end read' ;; esac ;;
    esac
    ;;
  run)
    case $before in
    --level) words='info error' ;;
    --ca) compopt -o default 2>/dev/null; return ;;
    --url) return ;;
    *) words='-h --help --url --ca --tidy --no-tidy --level' ;;
    esac
    ;;
  end)
    case $before in
    --ca) compopt -o default 2>/dev/null; return ;;
    --url) return ;;
    *) case $word in -*) words='-h --help --url --ca' ;; *) words='ann bob' ;; esac ;;
    esac
    ;;
  read)
    case $before in
    *) case $word in -*) words='-h --help' ;; *) compopt -o default 2>/dev/null; return ;; esac ;;
    esac
    ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _relay relay
