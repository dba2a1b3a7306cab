# fish completion for lone, printed by lone --generate=fish
complete -c lone -f
complete -c lone -l rate -r -f -d 'Events a second'
