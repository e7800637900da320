//! The filter: classic BPF over numbers and arguments. What has to be looked at, or counted, it leaves to be answered.

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET, BPF_JUMP, BPF_K, BPF_LD, BPF_RET, BPF_STMT, BPF_W,
    SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_USER_NOTIF, sock_filter,
};

use crate::profile::{BPF, Is, Profile, Rule, UNAME};

const AUDIT_ARCH_X86_64: u32 = 0xC000_003E;
const X32: u32 = 0x4000_0000;

/// The program. What it refuses is told when it is to be counted.
pub fn program(profile: &Profile, counted: bool) -> Vec<sock_filter> {
    let refuse = |errno: i32| if counted { SECCOMP_RET_USER_NOTIF } else { SECCOMP_RET_ERRNO | errno as u32 };
    let mut program = Vec::new();
    program.extend([load(4), jump(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0), answer(SECCOMP_RET_ERRNO | libc::ENOSYS as u32)]);
    program.push(load(0));
    program.extend([jump(BPF_JGE, X32, 0, 1), answer(refuse(libc::ENOSYS))]);
    for call in [UNAME, BPF].into_iter().filter(|call| profile.has(*call)) {
        program.extend([jump(BPF_JEQ, call, 0, 1), answer(SECCOMP_RET_USER_NOTIF)]);
    }
    for call in profile.keeps {
        program.extend([jump(BPF_JEQ, *call, 0, 1), answer(SECCOMP_RET_ALLOW)]);
    }
    program.extend([jump(BPF_JGT, profile.last, 0, 1), answer(refuse(libc::ENOSYS))]);
    for rule in profile.rules {
        program.extend(of_rule(rule, refuse(rule.errno)));
    }
    program.push(answer(SECCOMP_RET_ALLOW));
    program
}

/// The number is in the accumulator before and after.
fn of_rule(rule: &Rule, refused: u32) -> Vec<sock_filter> {
    let Rule { call, arguments, errno: _ } = rule;
    // From the end: whoever does not match jumps behind the answer, to where the number is loaded again.
    let mut tail = vec![answer(refused), load(0)];
    for (at, is) in arguments.iter().rev() {
        let behind = |instructions: usize| u8::try_from(instructions - 1).expect("a short rule");
        let mut tests = vec![load(16 + 8 * *at as u32)];
        match is {
            Is::Flagged(bits) => tests.push(jump(BPF_JSET, *bits, 0, behind(tail.len()))),
            Is::Within(from, to) => tests
                .extend([jump(BPF_JGE, *from, 0, behind(tail.len()) + 1), jump(BPF_JGT, *to, behind(tail.len()), 0)]),
        }
        tail.splice(0..0, tests);
    }
    let over = u8::try_from(tail.len()).expect("a short rule");
    tail.insert(0, jump(BPF_JEQ, *call, 0, over));
    tail
}

/// Loads the word at this place of `struct seccomp_data`; of an argument its lower half.
fn load(offset: u32) -> sock_filter {
    // SAFETY: a constructor.
    unsafe { BPF_STMT((BPF_LD | BPF_W | BPF_ABS) as u16, offset) }
}

fn jump(test: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    // SAFETY: a constructor.
    unsafe { BPF_JUMP((BPF_JMP | test | BPF_K) as u16, value, yes, no) }
}

fn answer(value: u32) -> sock_filter {
    // SAFETY: a constructor.
    unsafe { BPF_STMT((BPF_RET | BPF_K) as u16, value) }
}
