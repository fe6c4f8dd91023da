# Stops a server and removes its directory once no process holds the lease in it any more.
#
# Arguments: the directory, the seconds to wait for another process to come, the command that stops the
# server. Standard input is the file whose lock says that the directory is looked after; it is kept from
# the commands, as one that outlives this would keep another guard from being started.
#
# Only whoever holds `lock` may take the lease where nobody has it, so nobody can come between the last
# look at the lease and the end. Who waits for `lock` meanwhile finds the directory gone and makes another.
directory=$1
linger=$2
shift 2
exec 8<"$directory/lease" 9<"$directory/lock" || exit

nobody() { flock "$@" 8 </dev/null && flock --unlock 8 </dev/null; }

while :; do
    nobody
    seconds=0
    while [ "$seconds" -lt "$linger" ]; do
        sleep 1 </dev/null
        nobody --nonblock || continue 2
        seconds=$((seconds + 1))
    done
    flock 9 </dev/null
    # The directory may have been removed by hand, and made anew by another process.
    [ "$directory/lock" -ef /dev/fd/9 ] || exit
    nobody --nonblock && break
    flock --unlock 9 </dev/null
done

"$@" </dev/null
cd /
# Under another name first: nobody may find a directory that is half there. A test that waits for the
# server to be gone need not wait for a thousand files.
mv "$directory" "$directory.$$" || exit
rm -rf "$directory.$$" &
