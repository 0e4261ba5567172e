# Completion of sluice(1) for bash.

_sluice() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]:-} words=''
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W 'send serve queue explain log top check dkim sendmail sink --help --version' -- "$current")
    return
  fi
  case $previous in
    --message | --recipients | --suppress | --config | --token-file | --out)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --spool | --log | --save)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      return
      ;;
    --event)
      mapfile -t COMPREPLY < <(compgen -W 'accepted delivered deferred failed expired delayed held released cancelled in_doubt' -- "$current")
      return
      ;;
    --notices)
      mapfile -t COMPREPLY < <(compgen -W 'log sender' -- "$current")
      return
      ;;
    --type)
      mapfile -t COMPREPLY < <(compgen -W 'rsa ed25519' -- "$current")
      return
      ;;
    --ret)
      mapfile -t COMPREPLY < <(compgen -W 'headers full' -- "$current")
      return
      ;;
    --priority)
      mapfile -t COMPREPLY < <(compgen -W 'urgent normal non-urgent' -- "$current")
      return
      ;;
    --notify)
      mapfile -t COMPREPLY < <(compgen -W 'never failure failure,delay success,failure,delay' -- "$current")
      return
      ;;
    --from | --campaign | --envid | --next-hop | --source | --unsubscribe | --preview | --recipient | --id | --destination | --since | --until | \
      --sender | --admin | --limit | --at | --listen | --count | --delay | --fault | --extensions | --hostname | --threads | --domain | --selector | --bits) return ;;
  esac
  case $command in
    send) words='--help --message --recipients --from --campaign --spool --deliver --next-hop --source --suppress --unsubscribe --notices --notify --ret --envid --priority --skip-invalid --preview --dry-run --quiet --config --json' ;;
    serve) words='--help --until-empty --spool --next-hop --quiet --config' ;;
    queue) words='summary list show hold release retry cancel --help --id --campaign --destination --recipient --sender --all --campaigns --limit --dry-run --spool --config --json' ;;
    explain) words='--help --at --priority --next-hop --sender --from --spool --config --json' ;;
    log) words='--help --recipient --id --campaign --destination --event --since --until --follow --json --history --log --spool --config' ;;
    top) words='--help --admin --token-file --once --json --config' ;;
    check) words='--help --defaults --describe --dns --json --config' ;;
    dkim) words='keygen --help --domain --selector --type --bits --out --json' ;;
    sendmail) words='--help -t -i -f -F -N -R -V --config --spool' ;;
    sink) words='--help --listen --count --save --delay --fault --extensions --tls-certificate --tls-key --hostname --threads --quiet --config --json' ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _sluice sluice
