# Turns the lines of `contest` and `peers` into Markdown: medians, the middle half of the runs, ratios, goals.
# -v goal=N is the most that init may take of the time of the C program.
# In: contest KIND VERIFY LAYERS CONTESTANT MICROSECONDS CPU_MICROSECONDS PEAK_KIB   (-v table=contest)
#     peer CONTESTANT MICROSECONDS, size CONTESTANT BYTES                            (-v table=peers)

function sort(list, count,    i, j, value) {
    for (i = 2; i <= count; i++) {
        value = list[i]
        for (j = i - 1; j >= 1 && list[j] > value; j--) list[j + 1] = list[j]
        list[j + 1] = value
    }
}
# The QUARTER-th quarter of the numbers in TEXT; 2 is the median.
function quantile(text, quarter,    list, count) {
    count = split(text, list, " ")
    for (i = 1; i <= count; i++) list[i] += 0
    sort(list, count)
    return list[int((count - 1) * quarter / 4 + 0.5) + 1]
}
function shown(us) {
    return us >= 99500 ? sprintf("%.0f ms", us / 1000) : us >= 9950 ? sprintf("%.1f ms", us / 1000) : sprintf("%.2f ms", us / 1000)
}
function spread(text,    low, high) {
    return shown(quantile(text, 2)) " (" shown(quantile(text, 1)) " to " shown(quantile(text, 3)) ")"
}
function ratio(above, below) { return below > 0 ? above / below : 0 }
# Met or missed: WANTED is the most when AT_MOST, else the least.
function verdict(value, wanted, at_most) {
    return sprintf("%.2f %s", value, (at_most ? value <= wanted : value >= wanted) ? "met" : "**missed**")
}

table == "contest" && NF >= 7 {
    key = $1 ", " $2 ", " $3
    if (!(key in seen)) { seen[key] = ++rows; row[rows] = key; layers[key] = $3 }
    if ($5 == "failed") { failed[key, $4] = 1; next }
    wall[key, $4] = wall[key, $4] " " $5
    cpu[key, $4] = cpu[key, $4] " " $6
    if ($7 > peak[key, $4]) peak[key, $4] = $7
}
function cell(key, who) {
    if ((key, who) in failed) return "did not arrive"
    return (key, who) in wall ? spread(wall[key, who]) : "not run"
}
function compared(key, above, below, wanted, at_most) {
    if (!((key, above) in wall) || !((key, below) in wall)) return ""
    return verdict(ratio(quantile(wall[key, above], 2), quantile(wall[key, below], 2)), wanted, at_most)
}
# The faster of the C programs, which differ in their number of threads.
function yardstick(key,    threads, who, best) {
    for (threads = 1; threads <= 8; threads++) {
        who = threads == 1 ? "c" : "c-" threads
        if ((key, who) in wall && (best == "" || quantile(wall[key, who], 2) < quantile(wall[key, best], 2))) best = who
    }
    return best == "" ? "c" : best
}
# How much faster than the shell the C program is: nothing that makes the same calls can be much better.
function bound(key, c) {
    if (!((key, "shell") in wall) || !((key, c) in wall)) return ""
    return sprintf(" (C: %.1f)", ratio(quantile(wall[key, "shell"], 2), quantile(wall[key, c], 2)))
}
function contests(    i, key, c) {
    print "| file system, verify, layers | init | C, threads | init / C (goal: at most " goal ") | the same, processor time | shell | shell / init (goal: at least 10) | peak of init |"
    print "|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= rows; i++) {
        key = row[i]
        c = yardstick(key)
        print "| " key " | " cell(key, "init") " | " cell(key, c) ", " (c == "c" ? 1 : substr(c, 3)) " | " compared(key, "init", c, goal, 1) " | " \
            ((key, "init") in cpu && (key, c) in cpu ? sprintf("%.2f", ratio(quantile(cpu[key, "init"], 2), quantile(cpu[key, c], 2))) : "") \
            " | " cell(key, "shell") " | " compared(key, "shell", "init", 10, 0) bound(key, c) " | " \
            ((key, "init") in wall ? peak[key, "init"] " KiB, " verdict(peak[key, "init"] / (8192 + 64 * layers[key]), 1, 1) : "") " |"
    }
}

table == "peers" && $1 == "size" { size[$2] = $3; next }
table == "peers" && NF == 2 {
    if (!($1 in seen)) { seen[$1] = ++rows; row[rows] = $1 }
    if ($2 == "failed") failed[$1] = 1
    else wall[$1] = wall[$1] " " $2
}
function peers(    i, who) {
    print "| initramfs | size | /init to the real init | against ours (goal: at least 5) |"
    print "|---|---|---|---|"
    for (i = 1; i <= rows; i++) {
        who = row[i]
        print "| " who " | " size[who] " B | " (who in wall ? spread(wall[who]) : "") (who in failed ? " some did not arrive" : "") " | " \
            (who != "lamina" && who in wall && "lamina" in wall ? \
                verdict(ratio(quantile(wall[who], 2), quantile(wall["lamina"], 2)), 5, 0) : "") " |"
    }
}
END { if (table == "contest") contests(); else peers() }
