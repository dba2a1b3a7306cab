# fish completion for relay, printed by relay --generate=fish
complete -c relay -f
complete -c relay -s h -d 'Show help'
complete -c relay -l help -d 'Show help'
complete -c relay -n __fish_use_subcommand -a run -d '.run it, isn\'t it?'
complete -c relay -n __fish_use_subcommand -a end -d 'End it'
complete -c relay -n __fish_use_subcommand -a read -d 'Read a file'
complete -c relay -n '__fish_seen_subcommand_from run' -l url -r -f -d 'The broker\'s [many] URLs: \\ and "more"'
complete -c relay -n '__fish_seen_subcommand_from run' -l ca -r -F -d 'Trusted'
complete -c relay -n '__fish_seen_subcommand_from run' -l tidy -d 'Be tidy'
complete -c relay -n '__fish_seen_subcommand_from run' -l no-tidy -d 'Be tidy'
complete -c relay -n '__fish_seen_subcommand_from run' -l level -r -f -a 'info error' -d 'Least level'
complete -c relay -n '__fish_seen_subcommand_from end' -l url -r -f -d 'The broker\'s [many] URLs: \\ and "more"'
complete -c relay -n '__fish_seen_subcommand_from end' -l ca -r -F -d 'Trusted'
complete -c relay -n '__fish_seen_subcommand_from end' -f -a 'ann bob'
complete -c relay -n '__fish_seen_subcommand_from read' -F
