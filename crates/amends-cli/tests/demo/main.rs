//! `amends demo` from outside: the real binary, real sockets, a real directory.
//!
//! Owns the contract of the reference application as somebody meets it who knows nothing of the code: every
//! row of the HTTP table, the process, damage, bad clients. Promises to look at answers and exit codes only.
//! Does not mount anything: a full disk has a program of its own, `full_disk`. Start reading at `shop::Shop`.

#![expect(clippy::unwrap_used, reason = "what tests need besides their test functions may unwrap too")]

mod apart;
mod bodies;
mod books;
mod clients;
mod damage;
mod fuzz;
mod keys;
mod load;
mod orders;
mod pages;
mod paths;
mod process;
mod shop;
mod wire;
