//! Prints the OpenAPI document: what `cargo xtask generate` writes to `docs/openapi.json`.

fn main() {
    println!("{:#}", amends_server::routes::v1::openapi::document());
}
