//! Loads the kernel programs and prints what the kernel says of them: `cargo xtask ebpf inspect`.

use watcher::kernel::{Exactness, Handles, Sizes};

fn main() {
    let handles = match Handles::load(Sizes::for_processes(1_000), Exactness::AsOffered) {
        Ok(handles) => handles,
        Err(refusal) => {
            eprintln!("{refusal}");
            std::process::exit(1);
        }
    };
    println!(
        "{:<18}{:<16}{:>14}{:>14}{:>20}{:>10}",
        "program", "type", "instructions", "jited bytes", "verifier processed", "memory"
    );
    for (name, program) in handles.programs.iter() {
        let info = program.info().expect("the program is loaded");
        let count = |value: Option<u32>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
        println!(
            "{name:<18}{:<16}{:>14}{:>14}{:>20}{:>10}",
            format!("{:?}", program.prog_type()),
            count(info.size_translated().map(|bytes| bytes / 8)),
            info.size_jitted(),
            count(info.verified_instruction_count()),
            info.memory_locked().map_or_else(|_| "?".to_owned(), |bytes| bytes.to_string()),
        );
    }
    println!();
    println!("{:<18}{:<16}{:>8}{:>8}{:>12}", "map", "type", "key", "value", "entries");
    for map in aya::maps::loaded_maps().flatten() {
        let name = map.name_as_str().unwrap_or_default().to_owned();
        let ours = handles.programs.map_ids().contains(&map.id());
        if ours {
            let kind = map.map_type().map_or_else(|_| "?".to_owned(), |kind| format!("{kind:?}"));
            println!("{name:<14}{kind:<16}{:>8}{:>8}{:>12}", map.key_size(), map.value_size(), map.max_entries());
        }
    }
}
