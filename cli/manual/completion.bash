# Completion of popcorn command lines in bash: source this file, or install it as
# share/bash-completion/completions/popcorn.
_popcorn() {
  local line kind=words begun=${COMP_WORDS[COMP_CWORD]}
  local -a paths
  COMPREPLY=()
  # What bash took for a word of its own after = is the rest of a longer word of ours.
  [[ $begun == = ]] && begun=
  while IFS= read -r line; do
    case $line in
      :words | :files | :folders) kind=${line#:} ;;
      *)
        line=${line%%$'\t'*}
        [[ $line == --*=* ]] && line=${line#*=}
        COMPREPLY+=("$line")
        ;;
    esac
  done < <("${COMP_WORDS[0]}" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case $kind in
    files) mapfile -t paths < <(compgen -f -- "$begun") ;;
    folders) mapfile -t paths < <(compgen -d -- "$begun") ;;
  esac
  if [[ ${#paths[@]} -gt 0 ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY+=("${paths[@]}")
  fi
}
complete -F _popcorn popcorn
