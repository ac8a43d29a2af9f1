use bloodbank::{Encoded, Envelope, EnvelopeForm, Headers, Validated};

fn put_together(envelope: Validated<Envelope>, form: EnvelopeForm) -> Encoded {
    Encoded { envelope, body: [0].into(), headers: Headers::new(), form }
}

fn main() {
    let _ = put_together;
}
