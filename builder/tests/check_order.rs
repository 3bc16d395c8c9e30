//! `lamina build --check` shows what hangs on the order of folders, on the number of jobs, and nothing else.

#[allow(dead_code)]
mod sandbox;

use sandbox::Workshop;

#[test]
fn the_order_of_entries_is_another_one_in_the_second_build() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        let names = "a b c d e f g h";
        workshop.recipe(
            "dep",
            &format!(
                "step \"install\" \"mkdir -p $OUT/usr/share/dep; cd $OUT/usr/share/dep; touch {names}\""
            ),
        );
        let steps = format!(
            "build-depends {{\n dep\n }}\nstep \"install\" #\"\"\"\n\
             mkdir \"$OUT/seen\"; cd \"$OUT/seen\"\n\
             ls -U /usr/share/dep > one-layer\n ls -U /usr/share > several-layers\n ls -U /usr/bin > bootstrap\n\
             mkdir /build/made; (cd /build/made; touch {names}); ls -U /build/made > made\n\
             ls /usr/share/dep > sorted; cat /usr/share/dep/* > contents\n\
             find /usr /build/made | sort | xargs -d '\\n' stat -c '%n %F %a %u:%g' > everything\n\
             \"\"\"#"
        );
        workshop.recipe("list", &steps);
        let message = workshop.fail(&["build", "--check", "list"]);
        for name in ["one-layer", "several-layers", "bootstrap", "made"] {
            assert!(
                message.contains(&format!("    /seen/{name}: contents from byte ")),
                "{way:?} {name}:\n{message}"
            );
        }
        assert!(message.contains("in 4 places:"), "{way:?}: nothing else differs:\n{message}");
    }
}

#[test]
fn the_number_of_jobs_is_another_one() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    workshop.recipe("jobs", "step \"install\" \"echo $JOBS > $OUT/jobs\"");
    for jobs in ["1", "2"] {
        let message = workshop.fail(&["build", "--check", "jobs", "--jobs", jobs]);
        assert!(message.contains("    /jobs: contents from byte 0 on"), "{message}");
    }
}

#[test]
fn a_build_that_does_not_fit_into_memory_is_checked_on_disk() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    workshop.recipe("big", "step \"install\" \"head -c 20M /dev/zero > /build/big; echo > $OUT/x\"");
    let told = workshop.succeed(&["build", "--check", "big", "--tmpfs", "8M"]);
    for part in ["same bits big 1", "the order of the entries there was not varied"] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
}
