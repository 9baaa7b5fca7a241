# Input: a flattened seed. Output: lines "instance ID", "hostname NAME" and "key PUBLIC-KEY".
# The first field that is present wins: NoCloud's names before ConfigDrive's.

BEGIN {
    FS = "\t"
    split("instance-id uuid", instance_fields, " ")
    split("local-hostname hostname name", hostname_fields, " ")
}

$1 ~ /^(public[-_]keys|ssh_authorized_keys)(\/|$)/ {
    if ($2 ~ /^(ssh-|ecdsa-sha2-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+\/=]+( |$)/) print "key " $2
}

!($1 in value) { value[$1] = $2 }

# Only characters that are safe in a file name and in a host name.
function first(fields, count,    number, found) {
    for (number = 1; number <= count; number++) {
        found = value[fields[number]]
        gsub(/[^A-Za-z0-9.-]/, "", found)
        sub(/^[.-]+/, "", found)
        if (found != "") return substr(found, 1, 63)
    }
}

END {
    found = first(instance_fields, 2)
    if (found != "") print "instance " found
    found = first(hostname_fields, 3)
    if (found != "") print "hostname " found
}
