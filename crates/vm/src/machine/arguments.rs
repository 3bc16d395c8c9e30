//! The QEMU arguments that give a machine what it has (qemu(1)).

use std::net::Ipv4Addr;
use std::path::Path;

use super::disk::{Bus, Disk, LateDisk};
use super::option::{escaped, of_a_disk, of_a_shell, words};
use super::{ForwardedPort, Lan, Machine, Share};
use crate::acceleration::Acceleration;
use crate::share::Access;

impl Machine {
    /// The arguments of `qemu-system-x86_64`, with the guest's first serial port on standard input and output (see qemu(1)).
    pub fn arguments(&self, acceleration: Acceleration) -> Vec<String> {
        let mut arguments = words("-nodefaults -no-user-config");
        if !self.restarts {
            arguments.extend(words("-no-reboot"));
        }
        // Where QEMU itself chooses and can open no window, it lets everybody on this machine see and type by VNC.
        arguments.extend(words(if self.window { "-display gtk" } else { "-display none" }));
        let possible = self.possible.map_or_else(String::new, |count| format!(",maxcpus={count}"));
        arguments.extend(["-smp".to_owned(), format!("{}{possible}", self.processors)]);
        arguments.extend(acceleration.arguments());
        arguments.extend(["-m".to_owned(), format!("{}M", self.memory_mib)]);
        arguments.extend(self.start_arguments());
        arguments.extend(self.machine_arguments());
        let has_stick = self.late_disk.as_ref().is_some_and(|disk| disk.is_stick)
            || self.disks.iter().any(|disk| disk.bus == Bus::Usb);
        if self.usb_keyboard || has_stick {
            arguments.extend(words("-device qemu-xhci"));
        }
        for (number, disk) in self.disks.iter().enumerate() {
            arguments.extend(disk.arguments(number));
        }
        arguments.extend(self.late_disk.iter().flat_map(LateDisk::arguments));
        arguments.extend(self.card.iter().flat_map(|card| drives(card)));
        if self.screen || self.window {
            arguments.extend(words("-vga std"));
        }
        if self.usb_keyboard {
            arguments.extend(words("-device usb-kbd"));
        }
        if let Some(monitor) = &self.monitor {
            arguments.push("-monitor".to_owned());
            arguments.push(format!("unix:{},server=on,wait=off", escaped(monitor)));
        }
        if let Some(agent) = &self.agent {
            arguments.extend(["-chardev".to_owned(), format!("socket,id=agent,path={}", escaped(agent))]);
            arguments.extend(words("-device isa-serial,chardev=agent,index=1"));
        }
        for (number, share) in self.shares.iter().enumerate() {
            arguments.extend(share.arguments(number));
        }
        if let Some(ports) = &self.ports {
            arguments.extend(["-netdev".to_owned(), nat(ports)]);
            arguments.extend(words(&format!("-device {CARD},netdev=nat")));
        }
        arguments.extend(self.lan.iter().flat_map(card));
        arguments.extend(self.tpm.iter().flat_map(|socket| tpm(socket)));
        if self.can_be_kept {
            arguments.extend(words("-device vmgenid,guid=auto"));
        }
        if let Some(file) = &self.kept_in {
            arguments.extend(["-incoming".to_owned(), format!("exec:exec cat {}", of_a_shell(file))]);
        }
        arguments
    }

    /// A virtiofs daemon reads and writes the guest's memory, so that memory must be shareable.
    fn machine_arguments(&self) -> Vec<String> {
        let mut arguments = words("-M q35");
        if self.usb_keyboard {
            arguments[1] += ",i8042=off";
        }
        if !self.shares.iter().any(|share| matches!(share, Share::VirtioFs { .. })) {
            return arguments;
        }
        let memory = format!("memory-backend-memfd,id=ram,size={}M,share=on", self.memory_mib);
        arguments[1] += ",memory-backend=ram";
        arguments.extend(["-object".to_owned(), memory]);
        arguments
    }
}

impl Disk {
    /// `number` is its place among the machine's disks.
    fn arguments(&self, number: usize) -> Vec<String> {
        let snapshot = if self.forgets { "on" } else { "off" };
        let read_only = if self.access == Access::Read { ",readonly=on" } else { "" };
        let interface = match self.bus {
            Bus::Virtio => "if=virtio".to_owned(),
            Bus::Usb | Bus::Behind(_) => format!("if=none,id=stick{number}"),
        };
        let image = of_a_disk(&self.image);
        let mut drive = match &self.log {
            Some(log) => logged(&image, &interface, log),
            None => {
                let format = self.format.word();
                format!("file={image},{interface},format={format},snapshot={snapshot}{read_only}")
            }
        };
        if let Some(bytes) = self.stops_after {
            drive += &format!(",throttling.bps-total=1,throttling.bps-total-max={bytes}");
        }
        let mut arguments = vec!["-drive".to_owned(), drive];
        match self.bus {
            Bus::Virtio => {}
            Bus::Usb => {
                arguments.extend(words(&format!("-device usb-storage,drive=stick{number},removable=on")));
            }
            Bus::Behind(controller) => arguments.extend(controller.devices(&format!("stick{number}"))),
        }
        arguments
    }
}

/// The log is brought up to date at every write: who cuts the power reads it.
fn logged(image: &str, interface: &str, log: &Path) -> String {
    let files =
        format!("file.driver=file,file.filename={image},log.driver=file,log.filename={}", escaped(log));
    format!("{interface},driver=blklogwrites,{files},log-super-update-interval=1")
}

fn drives(card: &Path) -> Vec<String> {
    let mut arguments =
        words("-device virtio-scsi-pci -drive if=none,id=disc -device scsi-cd,drive=disc -drive");
    arguments.push(format!("file={},if=none,id=card,format=raw,snapshot=on", escaped(card)));
    arguments.extend(words("-device scsi-hd,drive=card,removable=on"));
    arguments
}

impl Share {
    /// `number` is its place among the machine's shares.
    fn arguments(&self, number: usize) -> Vec<String> {
        match self {
            Self::NineP { tag, folder, access } => {
                let read_only = if *access == Access::Read { "on" } else { "off" };
                let options = format!("security_model=none,readonly={read_only},multidevs=remap");
                // Not `-virtfs`, for which the tag is a name of QEMU's own: these begin with a letter.
                vec![
                    "-fsdev".to_owned(),
                    format!("local,id=share{number},path={},{options}", escaped(folder)),
                    "-device".to_owned(),
                    format!("virtio-9p-pci,fsdev=share{number},mount_tag={tag}"),
                ]
            }
            Self::VirtioFs { tag, socket } => vec![
                "-chardev".to_owned(),
                format!("socket,id={tag},path={}", escaped(socket)),
                "-device".to_owned(),
                format!("vhost-user-fs-pci,chardev={tag},tag={tag}"),
            ],
        }
    }
}

/// Without the program for booting from a network, which a firmware runs for half a second where it finds one.
const CARD: &str = "virtio-net-pci,romfile=";

fn nat(ports: &[ForwardedPort]) -> String {
    let mut nat = "user,id=nat".to_owned();
    for port in ports {
        nat += &format!(",hostfwd=tcp:{}:{}-:{}", Ipv4Addr::LOCALHOST, port.host, port.guest);
    }
    nat
}

fn card(Lan { group, port, mac }: &Lan) -> Vec<String> {
    let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
    let group = format!("socket,id=lan,mcast={group}:{port},localaddr={}", Ipv4Addr::LOCALHOST);
    let card = format!("{CARD},netdev=lan,mac={mac}");
    vec!["-netdev".to_owned(), group, "-device".to_owned(), card]
}

fn tpm(socket: &Path) -> Vec<String> {
    let mut arguments =
        vec!["-chardev".to_owned(), format!("socket,id=tpm,path={}", escaped(socket)), "-tpmdev".to_owned()];
    arguments.extend(words("emulator,id=tpm0,chardev=tpm -device tpm-tis,tpmdev=tpm0"));
    arguments
}

#[cfg(test)]
mod tests {
    use super::super::Controller;
    use super::*;
    use disk_image::DiskFormat;

    fn machine() -> Machine {
        Machine::new("m", Path::new("/k"), Path::new("/i"))
    }

    fn arguments(machine: &Machine) -> String {
        machine.arguments(Acceleration::Emulated).join(" ")
    }

    #[test]
    fn parameters_with_spaces_are_quoted_for_the_kernel() {
        let arguments =
            arguments(&machine().parameter("lamina.store=LABEL=my disk").parameters("ro lamina.debug"));
        assert!(arguments.contains("lamina.store=\"LABEL=my disk\" ro lamina.debug"), "{arguments}");
    }

    #[test]
    fn commas_in_file_names_do_not_become_options() {
        let arguments = arguments(&machine().disk(Path::new("/a,snapshot=off")));
        assert!(arguments.contains("file=/a,,snapshot=off,if=virtio"), "{arguments}");
    }

    #[test]
    fn a_colon_in_the_name_of_a_disk_makes_no_protocol_of_it() {
        for (name, told) in [("a:b", "./a:b"), ("json:{}", "./json:{}"), ("/a:b", "/a:b"), ("a", "a")] {
            let with = arguments(&machine().disk(Path::new(name)).usb_stick(Path::new(name)));
            assert_eq!(with.matches(&format!("file={told},if=")).count(), 2, "{with}");
        }
    }

    #[test]
    fn a_share_may_be_called_what_no_device_of_qemu_may() {
        let with = arguments(&machine().nine_p("2024", Path::new("/a,b"), Access::Read));
        let wanted = "-fsdev local,id=share0,path=/a,,b,security_model=none,readonly=on,multidevs=remap \
-device virtio-9p-pci,fsdev=share0,mount_tag=2024";
        assert!(with.contains(wanted), "{with}");
    }

    #[test]
    fn sticks_and_a_keyboard_share_one_usb_controller() {
        let stick = machine().usb_stick(Path::new("/a")).disk(Path::new("/b")).usb_keyboard();
        let arguments = arguments(&stick);
        assert_eq!(arguments.matches("qemu-xhci").count(), 1, "{arguments}");
        let told =
            "file=/a,if=none,id=stick0,format=raw,snapshot=on -device usb-storage,drive=stick0,removable=on";
        assert!(arguments.contains(told), "{arguments}");
        assert!(arguments.contains("file=/b,if=virtio"), "{arguments}");
    }

    #[test]
    fn what_comes_late_finds_a_slot_or_a_port() {
        let disk = machine().late_disk(Path::new("/a"), Path::new("/m"));
        assert!(arguments(&disk).contains("pcie-root-port,id=lateport"), "{}", arguments(&disk));
        assert!(disk.plug_in().is_some_and(|order| order.contains("bus=lateport")));
        let stick = machine().late_stick(Path::new("/a"), Path::new("/m"));
        let told = "-device qemu-xhci -drive file=/a,if=none,id=late,format=raw,snapshot=on";
        assert!(arguments(&stick).contains(told), "{}", arguments(&stick));
        assert!(stick.plug_in().is_some_and(|order| order.contains("usb-storage,drive=late")));
    }

    #[test]
    fn a_disk_stands_behind_the_controller_that_was_asked_for() {
        let machine = machine().disk_behind(Path::new("/a"), Controller::MegaRaid);
        let told =
            "file=/a,if=none,id=stick0,format=raw,snapshot=on -device megasas -device scsi-hd,drive=stick0";
        assert!(arguments(&machine).contains(told), "{}", arguments(&machine));
    }

    #[test]
    fn writes_are_remembered_where_they_are_asked_for() {
        let arguments = arguments(&machine().logged_disk(Path::new("/d"), Path::new("/l,og")));
        let wanted =
            "driver=blklogwrites,file.driver=file,file.filename=/d,log.driver=file,log.filename=/l,,og";
        assert!(arguments.contains(wanted) && !arguments.contains("format=raw"), "{arguments}");
    }

    #[test]
    fn a_disk_is_read_as_its_name_says() {
        for (name, format) in
            [("d.qcow2", "qcow2"), ("d.VMDK", "vmdk"), ("d.vhdx", "vhdx"), ("d.img", "raw"), ("d", "raw")]
        {
            let path = Path::new(name);
            let with = arguments(&machine().disk_of(path, DiskFormat::of_name(path), false));
            assert!(with.contains(&format!("file={name},if=virtio,format={format},snapshot=off")), "{with}");
        }
    }

    #[test]
    fn a_window_has_the_kernels_words_too() {
        let with = arguments(&machine().window().processors(4));
        assert!(with.contains("-append console=tty0 console=ttyS0 "), "{with}");
        assert!(
            with.contains("-vga std") && with.contains("-smp 4 ") && with.contains("-display gtk "),
            "{with}"
        );
        assert!(arguments(&machine()).contains("-display none -smp 2 "));
    }

    #[test]
    fn no_network_card_unless_asked_for() {
        assert!(!arguments(&machine()).contains("-netdev"));
        let with = arguments(&machine().network(&[ForwardedPort { host: 8080, guest: 80 }]));
        assert!(with.contains("-netdev user,id=nat,hostfwd=tcp:127.0.0.1:8080-:80 -device virtio-net-pci,romfile=,netdev=nat"), "{with}");
    }

    #[test]
    fn a_second_card_and_a_tpm_come_behind_the_first() {
        let lan = Lan { group: Ipv4Addr::new(239, 255, 1, 2), port: 20_001, mac: [0x52, 0x54, 0, 1, 2, 255] };
        let with = arguments(&machine().network(&[]).lan(lan).tpm(Path::new("/s,t")));
        let wanted = "-netdev user,id=nat -device virtio-net-pci,romfile=,netdev=nat -netdev socket,id=lan,mcast=239.255.1.2:20001,localaddr=127.0.0.1 \
-device virtio-net-pci,romfile=,netdev=lan,mac=52:54:00:01:02:ff -chardev socket,id=tpm,path=/s,,t -tpmdev emulator,id=tpm0,chardev=tpm -device tpm-tis,tpmdev=tpm0";
        assert!(with.contains(wanted), "{with}");
    }

    #[test]
    fn a_machine_goes_on_from_a_file_whatever_that_is_called() {
        let with = machine().can_be_kept(Path::new("/m")).kept_in(Path::new("/it's, kept"));
        let all = with.arguments(Acceleration::Emulated);
        assert_eq!(all.last().map(String::as_str), Some(r"exec:exec cat '/it'\''s, kept'"));
        assert!(all.join(" ").contains("-device vmgenid,guid=auto -incoming"), "{all:?}");
    }

    #[test]
    fn only_virtiofs_needs_shared_memory() {
        assert!(
            !arguments(&machine().nine_p("store", Path::new("/s"), Access::Read)).contains("memory-backend")
        );
        let with = arguments(&machine().memory_mib(256).virtiofs("store", Path::new("/s")));
        assert!(with.contains("size=256M,share=on") && with.contains("q35,memory-backend=ram"), "{with}");
    }
}
