//! How the program is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A static program finds its own addresses when it starts: eighteen thousand of them, as a list
    // of 24 bytes each, or as one of a bit each. musl reads both.
    let target = |part: &str| std::env::var(format!("CARGO_CFG_TARGET_{part}"));
    if target("ENV").as_deref() == Ok("musl") && target("ARCH").as_deref() == Ok("x86_64") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
