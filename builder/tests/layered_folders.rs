//! Folders that several layers of a build's root have: they must agree, or the recipe says that they need not.

#[allow(dead_code, reason = "other tests use the rest")]
mod sandbox;

use std::fs;
use std::time::Instant;

use sandbox::{Way, Workshop};

/// Two packages with `/shared`: one may be entered by all, the other by nobody else.
fn workshop() -> Workshop {
    let workshop = Workshop::new(Way::Myself);
    let shared = |name: &str, mode: &str| {
        let script = format!("mkdir $OUT/shared; echo > $OUT/shared/{name}; chmod {mode} $OUT/shared");
        workshop.recipe(name, &format!("step \"install\" \"{script}\""));
    };
    shared("open", "755");
    shared("private", "700");
    workshop
}

const SEEN: &str = "build-depends { open; private; }\nstep \"install\" \"stat -c %a /shared > $OUT/seen\"";

#[test]
fn a_folder_that_differs_is_an_error_until_the_recipe_allows_it() {
    let workshop = workshop();
    workshop.recipe("user", SEEN);
    let message = workshop.fail(&["build", "user"]);
    for part in [
        "package user: layers of its root have folders that differ, and the recipe does not allow it\n",
        "    /shared: the folder of private (mode 0700) hides that of open (mode 0755)\n",
        "    override \"/shared\" from=\"private\"",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(!workshop.has_record("user"));
    let before = workshop.succeed(&["build", "user", "--explain-id"]);
    // The other way round it allows nothing.
    let other = format!("override \"/shared\" from=\"open\"\n{SEEN}");
    workshop.recipe("user", &other);
    let message = workshop.fail(&["build", "user"]);
    assert!(
        message.contains("warning: package user: override \"/shared\" from=\"open\" allows nothing"),
        "{message}"
    );
    workshop.recipe("user", &format!("override \"/shared\" from=\"private\"\n{SEEN}"));
    assert_eq!(workshop.succeed(&["build", "user", "--explain-id"]), before, "it is no part of the id");
    let said = workshop.succeed(&["build", "user", "--check"]);
    assert!(!said.contains("warning"), "{said}");
    assert_eq!(workshop.read_from_image("user", "seen"), "700\n");
}

#[test]
fn a_folder_in_the_place_of_a_file_is_refused_and_a_file_in_the_place_of_one_is_not() {
    let workshop = workshop();
    workshop.recipe("stub", "step \"install\" \"echo > $OUT/shared\"");
    workshop.recipe("same", "step \"install\" \"mkdir $OUT/shared; echo other > $OUT/shared/open\"");
    let user = |name: &str, over: &str| {
        let script = "mkdir $OUT/usr; wc -c /shared/open > $OUT/usr/seen || :";
        workshop.recipe(name, &format!("build-depends {{ open; {over}; }}\nstep \"install\" \"{script}\""));
    };
    user("first", "stub");
    let message = workshop.fail(&["build", "first"]);
    assert!(message.contains("    /shared: stub hides that of open\n"), "{message}");
    user("second", "same");
    workshop.succeed(&["build", "second"]);
    assert_eq!(workshop.read_from_image("second", "usr/seen"), "6 /shared/open\n");
}

#[test]
fn what_was_compared_once_is_known_and_forty_layers_cost_little() {
    let workshop = workshop();
    let names: Vec<String> = (0..40).map(|number| format!("layer-{number}")).collect();
    for name in &names {
        let script = format!("mkdir -p $OUT/usr/share/{name} && touch $OUT/usr/share/{name}/x");
        workshop.recipe(name, &format!("step \"install\" \"{script}\""));
    }
    workshop.recipe(
        "user",
        &format!("build-depends {{ {}; }}\nstep \"install\" \"touch $OUT/x\"", names.join("; ")),
    );
    workshop.succeed(&["build", "user"]);
    let stacks = || {
        let entries = fs::read_dir(workshop.path("store/stacks")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    // Above the bootstrap layer alone, and above all.
    let known = stacks();
    assert_eq!(known.len(), 2, "{known:?}");
    let begun = Instant::now();
    workshop.succeed(&["build", "user", "--check"]);
    let with = begun.elapsed();
    assert_eq!(stacks(), known);
    known.iter().for_each(|path| fs::write(path, "damaged").unwrap());
    let begun = Instant::now();
    workshop.succeed(&["build", "user", "--check"]);
    println!("a build on 41 layers: {with:?} when they were compared before, {:?} else", begun.elapsed());
    let again = known.iter().filter(|path| fs::read(path).unwrap() == b"[]").count();
    assert_eq!(again, 1, "what cannot be read is found out again");
}
