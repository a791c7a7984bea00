# Completion of popcorn command lines in fish: source this file, or install it as
# share/fish/vendor_completions.d/popcorn.fish.
function __popcorn_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] complete $words[2..-1] 2>/dev/null)
        switch $line
            case :words
            case :files
                __fish_complete_path (commandline -ct)
            case :folders
                __fish_complete_directories (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c popcorn -f -a '(__popcorn_complete)'
