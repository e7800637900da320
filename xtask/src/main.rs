fn main() {
    let t = watcher_ebpf_build::Toolchain::find().unwrap();
    println!("{t:?}");
    let ws = std::env::current_dir().unwrap();
    println!("{:?}", watcher_ebpf_build::build(&t, &ws, &ws.join("target/ebpf")).map_err(|e| println!("{e}")));
}
