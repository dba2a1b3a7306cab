#compdef lone
# zsh completion for lone, printed by lone --generate=zsh
_lone() {
  _arguments \
    -S \
    '--rate=[Events a second]:N: '
}
if [ "$funcstack[1]" = _lone ]; then _lone; else compdef _lone lone; fi
