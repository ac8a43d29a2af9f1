fn main() {
    holyfields_build::compile("schemas");
}
