# Keeps one throw-away PostgreSQL: makes it, runs it, and removes it when standard input closes. Standard input is a
# pipe that only the starting process holds, so the server goes away however that process ends, kill -9 included.
# Arguments: the folder, the folder of the programs, then the server's own arguments.
dir=$1
bin=$2
shift 2
{
    "$bin/initdb" --pgdata="$dir/data" --username=crosstally --pwfile="$dir/password" --auth=password \
        --encoding=UTF8 --locale=C --no-sync &&
        [ ! -e "$dir/stop" ] &&
        "$bin/postgres" -D "$dir/data" "$@"
    echo "$?" >"$dir/ended"
} </dev/null >"$dir/log" 2>&1 &
cat >/dev/null
: >"$dir/stop"
while [ ! -e "$dir/ended" ]; do
    # Nobody needs the data: no last checkpoint.
    [ -s "$dir/data/postmaster.pid" ] && kill -QUIT "$(head -n 1 "$dir/data/postmaster.pid")"
    sleep 0.05
done 2>/dev/null
wait
rm -rf "$dir"
