//! What systemd is told: `sd_notify`, on a real socket.

use watcher_tests::{
    host::{Host, on_each_tier},
    manager::Manager,
    pcheck::Pcheck,
    wait::until,
};

#[test]
fn the_start_reloads_life_and_the_end_are_told() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        // More often than the test lasts.
        host.rules(&format!(
            "{svc}:{}:86400:99:exit",
            host.script("start.sh", "env > ${H}env.new; mv ${H}env.new ${H}env")
        ));
        let service = host.start("");
        let manager = Manager::at(host.path("notify"));
        let mut command = host.pcheck(tier);
        command.env("NOTIFY_SOCKET", host.path("notify")).env("WATCHDOG_USEC", "200000");
        let mut pcheck = Pcheck::started(&mut command);
        assert_eq!(manager.news(), "READY=1");
        // When it is ready it has looked.
        assert_eq!(pcheck.up(&svc), service.pid);
        assert_eq!((manager.next(), manager.next()), ("WATCHDOG=1".to_owned(), "WATCHDOG=1".to_owned()));
        for _ in 0..2 {
            pcheck.signal(libc::SIGHUP);
            assert!(manager.news().starts_with("RELOADING=1\nMONOTONIC_USEC="));
            assert_eq!(manager.news(), "READY=1");
        }
        // Rules that are refused end the reload, too.
        host.rules("IPCKEY 0x2");
        pcheck.signal(libc::SIGHUP);
        assert!(manager.news().starts_with("RELOADING=1\n"));
        assert_eq!(manager.news(), "READY=1");
        service.kill();
        pcheck.until("Try to restart");
        until("the script has run", || !host.read("env").is_empty());
        let environment = host.read("env");
        assert!(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"), "{environment}");
        pcheck.signal(libc::SIGTERM);
        assert_eq!(manager.news(), "STOPPING=1");
        assert_eq!(pcheck.end().1, Some(0));
    });
}

#[test]
fn readiness_is_told_when_nobody_has_to_be_looked_for() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:3:exit", host.script("start.sh", "exit 0")));
        let service = host.start("");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!(pcheck.up(&svc), service.pid);
        assert_eq!(host.padmin("stop").code, Some(0));
        pcheck.kill();
        // The pause is remembered: processes are not listed, which would tell that all is watched.
        let manager = Manager::at(host.path("notify"));
        let pcheck = Pcheck::started(host.pcheck(tier).env("NOTIFY_SOCKET", host.path("notify")));
        assert_eq!(manager.news(), "READY=1");
        pcheck.stop();
    });
}
