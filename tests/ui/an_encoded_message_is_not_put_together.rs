use bloodbank::{Encoded, Envelope, Headers, Validated};

fn put_together(envelope: Validated<Envelope>) -> Encoded {
    Encoded { envelope, body: [0].into(), headers: Headers::new() }
}

fn main() {
    let _ = put_together;
}
