//! Prints the JSON Schema of definitions, for `cargo xtask generate`.

fn main() {
    print!("{}", amends_definition::format_schema());
}
