//! What a binary asks of the host that it is to run on, read from the binary itself.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use object::{
    Endianness,
    elf::{DT_NEEDED, EM_BPF, ET_REL, FileHeader64},
    read::elf::{Dyn as _, FileHeader as _},
};

/// Libraries that every glibc since 2.17 comes with. The loader's name ends in that of the machine.
const LIBRARIES: [&str; 4] = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"];
const LOADER: &str = "ld-linux-";

/// What a binary needs.
#[derive(Debug)]
pub(crate) struct Needs {
    /// Names of libraries.
    pub(crate) libraries: BTreeSet<String>,
    /// Versions of glibc that its symbols have: 2.17 as `[2, 17]`.
    pub(crate) glibc: BTreeSet<Vec<u32>>,
    /// Other versions of symbols, which no glibc is known to have.
    pub(crate) others: BTreeSet<String>,
}

impl Needs {
    /// Those of this file.
    pub(crate) fn of(bytes: &[u8]) -> anyhow::Result<Self> {
        let header = FileHeader64::<Endianness>::parse(bytes)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, bytes)?;
        let mut needs = Self { libraries: BTreeSet::new(), glibc: BTreeSet::new(), others: BTreeSet::new() };
        let (entries, link) = sections.dynamic(endian, bytes)?.context("this binary is not linked dynamically")?;
        let strings = sections.strings(endian, bytes, link)?;
        for entry in entries.iter().filter(|entry| entry.tag(endian) == DT_NEEDED) {
            needs.libraries.insert(text(entry.string(endian, strings)?));
        }
        let (mut files, link) = sections.gnu_verneed(endian, bytes)?.context("its symbols have no versions")?;
        let strings = sections.strings(endian, bytes, link)?;
        while let Some((_file, mut versions)) = files.next()? {
            while let Some(version) = versions.next()? {
                let name = text(version.name(endian, strings)?);
                match name.strip_prefix("GLIBC_").map(numbers) {
                    Some(Some(version)) => needs.glibc.insert(version),
                    Some(None) | None => needs.others.insert(name),
                };
            }
        }
        Ok(needs)
    }

    /// The newest glibc that one of its symbols asks for.
    pub(crate) fn newest(&self) -> String {
        let version = self.glibc.last().into_iter().flatten();
        version.map(u32::to_string).collect::<Vec<_>>().join(".")
    }

    /// Whether all of it is there where glibc is of this version.
    pub(crate) fn check(&self, glibc: &[u32]) -> anyhow::Result<()> {
        let Self { libraries, glibc: wanted, others } = self;
        let strange: Vec<_> =
            libraries.iter().filter(|name| !LIBRARIES.contains(&name.as_str()) && !name.starts_with(LOADER)).collect();
        ensure!(strange.is_empty(), "this binary needs libraries that not every host has: {strange:?}");
        ensure!(others.is_empty(), "this binary needs versions of symbols that are none of glibc's: {others:?}");
        ensure!(!wanted.is_empty(), "this binary asks for no symbol of glibc: it was not understood");
        let newest = self.newest();
        let fits = wanted.last().is_some_and(|newest| newest.as_slice() <= glibc);
        let allowed = glibc.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        ensure!(fits, "this binary needs glibc {newest}; {allowed} must be enough");
        Ok(())
    }
}

/// Whether an object of kernel programs lies somewhere in this file.
pub(crate) fn carries_kernel_programs(bytes: &[u8]) -> bool {
    // 64 bits, little-endian, ELF version 1.
    const START: &[u8] = b"\x7fELF\x02\x01\x01";
    let half = |object: &[u8], at: usize| object.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes);
    let objects = bytes.windows(START.len()).enumerate().filter(|(_, window)| *window == START);
    let mut objects = objects.filter_map(|(at, _)| bytes.get(at..));
    objects.any(|object| half(object, 16) == Some(ET_REL) && half(object, 18) == Some(EM_BPF))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(libraries: &[&str], glibc: &[&[u32]]) -> Needs {
        let libraries = libraries.iter().map(|name| (*name).to_owned()).collect();
        Needs { libraries, glibc: glibc.iter().map(|version| version.to_vec()).collect(), others: BTreeSet::new() }
    }

    #[test]
    fn a_binary_that_was_linked_with_the_library_of_this_host_is_refused() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut needs = Needs::of(&this).unwrap();
        assert!(needs.libraries.contains("libc.so.6"), "{needs:?}");
        assert!(needs.check(&[2, 17]).is_err(), "{needs:?}");
        needs.libraries.remove("libgcc_s.so.1");
        needs.others.clear();
        let error = needs.check(&[2, 17]).unwrap_err().to_string();
        assert_eq!(error, format!("this binary needs glibc {}; 2.17 must be enough", needs.newest()));
        assert!(!carries_kernel_programs(&this));
    }

    #[test]
    fn numbers_are_compared_not_texts() {
        needs(&["libc.so.6"], &[&[2, 2, 5], &[2, 9], &[2, 17]]).check(&[2, 17]).unwrap();
        let newer = needs(&["libc.so.6"], &[&[2, 3], &[2, 17], &[2, 18]]);
        assert_eq!(newer.check(&[2, 17]).unwrap_err().to_string(), "this binary needs glibc 2.18; 2.17 must be enough");
    }

    #[test]
    fn libraries_that_not_every_host_has_are_named() {
        let error = needs(&["libc.so.6", "ld-linux-x86-64.so.2", "libgcc_s.so.1"], &[&[2, 17]]).check(&[2, 17]);
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "this binary needs libraries that not every host has: [\"libgcc_s.so.1\"]");
    }

    #[test]
    fn kernel_programs_are_an_object_for_the_machine_bpf() {
        let object = |kind: u8, machine: u8| {
            let mut bytes = [b"a program\x7fELF\x02\x01\x01".as_slice(), &[0; 9]].concat();
            bytes.extend([kind, 0, machine, 0, 1, 0]);
            bytes
        };
        assert!(carries_kernel_programs(&object(1, 247)));
        assert!(!carries_kernel_programs(&object(1, 62)) && !carries_kernel_programs(&object(3, 247)));
        let cut = object(1, 247);
        assert!(!carries_kernel_programs(cut.get(..27).unwrap()));
    }
}
