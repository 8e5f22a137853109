//! Prints the page of the keys of a definition, for `cargo xtask generate`.

fn main() {
    print!("{}", amends_definition::key_reference());
}
