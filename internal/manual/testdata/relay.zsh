#compdef relay
# zsh completion for relay, printed by relay --generate=zsh
_relay() {
  local context state state_descr line
  typeset -A opt_args
  _arguments \
    -S \
    -C \
    '1: :->command' \
    '*:: :->rest' \
    '(-h --help)-h[Show help]' \
    '(-h --help)--help[Show help]'
  case $state in
  command)
    local -a commands=(
      'run:.run it, isn'\''t it?'
      'end:End it'
      'read:Read a file'
    )
    _describe command commands
    ;;
  rest)
    case $words[1] in
    run)
      _arguments \
        -S \
        '(-h --help)-h[Show help]' \
        '(-h --help)--help[Show help]' \
        '*--url=[The broker'\''s \[many\] URLs\: \\ and "more"]:URL,...: ' \
        '--ca=[Trusted]:PATH:_files' \
        '(--tidy --no-tidy)--tidy[Be tidy]' \
        '(--tidy --no-tidy)--no-tidy[Be tidy]' \
        '--level=[Least level]:info:(info error)'
      ;;
    end)
      _arguments \
        -S \
        '(-h --help)-h[Show help]' \
        '(-h --help)--help[Show help]' \
        '*--url=[The broker'\''s \[many\] URLs\: \\ and "more"]:URL,...: ' \
        '--ca=[Trusted]:PATH:_files' \
        '1:who:(ann bob)'
      ;;
    read)
      _arguments \
        -S \
        '(-h --help)-h[Show help]' \
        '(-h --help)--help[Show help]' \
        '1:file:_files'
      ;;
    esac
    ;;
  esac
}
if [ "$funcstack[1]" = _relay ]; then _relay; else compdef _relay relay; fi
