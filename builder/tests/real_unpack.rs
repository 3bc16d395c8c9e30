//! The default of the step `unpack`, in the real sandbox over the bootstrap layer of this repository, as root and as an ordinary
//! user.

#[allow(dead_code, reason = "other tests look at more of a workshop")]
mod sandbox;

use std::fs;
use std::process::Command;

use profiles::Digest;
use sandbox::Workshop;
use sha2::{Digest as _, Sha256};

/// A script lost files here without an error, and needed tools of the build's root.
#[test]
fn sources_of_every_shape_are_unpacked_whole_or_the_build_fails() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        workshop.write("make/top/deep/file", "deep\n");
        workshop.write("make/top/file", "file\n");
        workshop.write("make/beside", "beside\n");
        workshop.write("make/my.target", "[Unit]\n");
        for (name, options, members) in
            [("one.txz", "-cJf", "top"), ("two.tar", "-cf", "top beside"), ("gnu.tbz2", "-cjf", "./top")]
        {
            let words = members.split(' ');
            let made = workshop.path("make").join(name);
            let mut tar = Command::new("tar");
            tar.current_dir(workshop.path("make")).arg(options).arg(made).args(words);
            assert!(tar.status().unwrap().success());
        }
        let script = "mkdir $OUT/share; cd $SRC; find . -type f | sort > $OUT/share/files";
        for (source, expected) in [
            ("one.txz", "./deep/file\n./file\n"),
            ("gnu.tbz2", "./deep/file\n./file\n"),
            ("two.tar", "./beside\n./top/deep/file\n./top/file\n"),
            ("my.target", ""),
        ] {
            let name = source.split('.').next().unwrap();
            workshop
                .recipe(name, &format!("{}\nstep \"install\" \"{script}\"", source_node(&workshop, source)));
            workshop.succeed(&["build", name]);
            assert_eq!(workshop.read_from_image(name, "share/files"), expected, "{source} as {way:?}");
        }
        fs::write(workshop.path("make/cut.tar"), &fs::read(workshop.path("make/two.tar")).unwrap()[..2048])
            .unwrap();
        workshop.recipe("cut", &format!("{}\nstep \"install\" \"true\"", source_node(&workshop, "cut.tar")));
        let message = workshop.fail(&["build", "cut"]);
        for part in ["/sources/cut.tar: ", "cut short", "step unpack ended with status 1"] {
            assert!(message.contains(part), "{part} in\n{message}");
        }
    }
}

/// The node of a source that lies in the folder `make`.
fn source_node(workshop: &Workshop, file: &str) -> String {
    let path = workshop.path("make").join(file);
    let bytes = fs::read(&path).unwrap();
    let digest = Digest::from_bytes(Sha256::digest(&bytes).into()).hex();
    format!(
        "source \"{file}\" sha256=\"{digest}\" size={} {{ mirror \"file:{}\"\n }}",
        bytes.len(),
        path.display()
    )
}
