# Prints each scalar of a JSON document, or of the plain subset of YAML that seeds use, as PATH<TAB>VALUE.
# {"public_keys": {"mine": "ssh-ed25519 AAAA"}} becomes public_keys/mine<TAB>ssh-ed25519 AAAA.

{ document = document $0 "\n" }

END {
    if (document ~ /^[ \t\r\n]*[{]/) flatten_json(document)
    else flatten_yaml(document)
}

function emit(path, value) {
    gsub(/[\001-\037]/, " ", value)
    sub(/ +$/, "", value)
    print path "\t" value
}

# Text of a quoted JSON string. Characters beyond ASCII are not needed in anything read from here.
function unquoted(token,    text, position, code) {
    text = substr(token, 2, length(token) - 2)
    if (index(text, "\\") == 0) return text
    gsub(/\\[nrtbf]/, " ", text)
    gsub(/\\\//, "/", text)
    gsub(/\\"/, "\"", text)
    while ((position = match(text, /\\u00[2-7][0-9a-fA-F]/)) > 0) {
        code = 16 * hex_digit(substr(text, position + 4, 1)) + hex_digit(substr(text, position + 5, 1))
        text = substr(text, 1, position - 1) sprintf("%c", code) substr(text, position + 6)
    }
    gsub(/\\\\/, "\\", text)
    return text
}

function hex_digit(digit) { return index("0123456789abcdef", tolower(digit)) - 1 }

function json_path(depth,    level, path) {
    for (level = 1; level <= depth; level++) path = path (level > 1 ? "/" : "") name[level]
    return path
}

function flatten_json(rest,    token, depth) {
    while (match(rest, /^[ \t\r\n]*("([^"\\]|\\.)*"|[][{},:]|[^][ \t\r\n{},:"]+)/)) {
        token = substr(rest, 1, RLENGTH)
        rest = substr(rest, RLENGTH + 1)
        sub(/^[ \t\r\n]+/, "", token)
        if (token == "{" || token == "[") {
            if (++depth > 16) exit 1
            is_list[depth] = token == "["
            name[depth] = is_list[depth] ? 0 : ""
            wants_key[depth] = !is_list[depth]
        } else if (token == "}" || token == "]") {
            depth--
        } else if (token == ",") {
            if (is_list[depth]) name[depth]++
            else wants_key[depth] = 1
        } else if (token == ":") {
            wants_key[depth] = 0
        } else if (wants_key[depth]) {
            name[depth] = unquoted(token)
        } else {
            emit(json_path(depth), substr(token, 1, 1) == "\"" ? unquoted(token) : token)
        }
    }
}

function plain(value) {
    sub(/^[ \t]+/, "", value)
    sub(/[ \t\r]+$/, "", value)
    if (value ~ /^".*"$/) return unquoted(value)
    if (value ~ /^'.*'$/) return substr(value, 2, length(value) - 2)
    return value
}

# Top-level keys, and one level of lists, flow lists or keys below them.
function flatten_yaml(text,    lines, count, number, line, top, items, item_count, item) {
    count = split(text, lines, "\n")
    for (number = 1; number <= count; number++) {
        line = lines[number]
        if (line ~ /^[ \t]*(#.*)?$/) continue
        if (match(line, /^[A-Za-z0-9_-]+:/)) {
            top = substr(line, 1, RLENGTH - 1)
            line = plain(substr(line, RLENGTH + 1))
            if (line ~ /^\[.*\]$/) {
                item_count = split(substr(line, 2, length(line) - 2), items, ",")
                for (item = 1; item <= item_count; item++) emit(top "/" (item - 1), plain(items[item]))
            } else if (line != "") emit(top, line)
        } else if (match(line, /^ *- +/)) {
            emit(top "/-", plain(substr(line, RLENGTH + 1)))
        } else if (match(line, /^ +[A-Za-z0-9_-]+: */)) {
            item = substr(line, 1, RLENGTH)
            gsub(/[ :]/, "", item)
            emit(top "/" item, plain(substr(line, RLENGTH + 1)))
        }
    }
}
