#compdef popcorn
# Completion of popcorn command lines in zsh: source this file after compinit, or install it as _popcorn in a folder
# of $fpath.
_popcorn() {
  local line kind=words
  local -a candidates
  while IFS= read -r line; do
    case $line in
      :words | :files | :folders) kind=${line#:} ;;
      *) candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
    esac
  done < <("${words[1]}" complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  (( $#candidates )) && _describe -t values popcorn candidates
  case $kind in
    files) _files ;;
    folders) _files -/ ;;
  esac
}
if [[ $funcstack[1] == _popcorn ]]; then
  _popcorn "$@"
else
  compdef _popcorn popcorn
fi
