# Fails if a file has more than 600 lines, or a function more than 60.
# A function's brace stands alone in the first column, so counting needs no parser.
FNR == 1 { report(); name = FILENAME }
{ lines = FNR }
/^[A-Za-z].*\(/ { head = $0 }
/^{$/ { start = FNR }
/^}$/ && start {
	if (FNR - start + 1 > 60)
		say(FILENAME ":" start ": " FNR - start + 1 " lines, at most 60: " head)
	start = 0
}
END { report(); exit bad }
function report() { if (lines > 600) say(name ": " lines " lines, at most 600") }
function say(what) { print "lint: " what; bad = 1 }
