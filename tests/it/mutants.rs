//! Every example of every contract, changed in every place in every way we can think of: the bus,
//! the type and the validator have one verdict, and what is accepted survives the trip.

use bloodbank::events::{
    self, agent, artifact, calendar, candystore, contracts, conversation, github, llm, services,
    task, theboard, transcription,
};
use bloodbank::schema::Validator;
use bloodbank::serde_json::{Value, json, to_value, to_vec};
use bloodbank::{Bus, Contract, Kind, PublishError, codec, same_value};

/// How many payloads were accepted and refused, and the contracts they were tried on.
#[derive(Default)]
struct Tally {
    contracts: usize,
    accepted: usize,
    refused: usize,
}

impl Tally {
    async fn of<T: Contract>(mut self) -> Self {
        let contracts = contracts();
        let bundle = contracts.bundle();
        let bus = Bus::in_memory(events::contracts());
        let publisher = bus.publisher::<services::Any>();
        let contract = bundle.contract(T::KEYS[0]).unwrap();
        let validator = Validator::new(&bundle.document(contract)).unwrap();
        for payload in bundle.examples(contract).iter().flat_map(mutants) {
            let valid = validator.is_valid(&payload);
            for key in T::KEYS {
                let decoded = codec::decode::<T>(key, &to_vec(&payload).unwrap());
                assert_eq!(decoded.is_ok(), valid, "{key} {payload} {:?}", decoded.err());
                assert_eq!(contracts.check(key, &payload).is_ok(), valid, "{key} {payload}");
                if let Ok(decoded) = decoded {
                    let encoded = to_value(&decoded).unwrap();
                    assert!(same_value(&encoded, &payload), "{key} {payload} became {encoded}");
                    assert!(validator.is_valid(&encoded), "{key} {encoded}");
                }
                if T::KIND == Kind::Event {
                    let published = publisher.publish_json(key, payload.clone()).await;
                    let refusal = published.as_ref().err().and_then(PublishError::refusal);
                    assert_eq!(
                        (published.is_ok(), refusal.is_some()),
                        (valid, !valid),
                        "{key} {payload}"
                    );
                }
            }
            *(if valid { &mut self.accepted } else { &mut self.refused }) += 1;
        }
        self.contracts += 1;
        self
    }
}

/// The value itself, and the value with one place changed.
fn mutants(value: &Value) -> Vec<Value> {
    let mut all = vec![value.clone()];
    for at in places(value, "") {
        let others = [
            json!(null),
            json!(true),
            json!(0),
            json!(1.0),
            json!(-1),
            json!(2.5),
            json!(1e9),
            json!(""),
            json!("x"),
            json!("0195C3A2-7B1E-7C44-9A3F-2D6E8B5F1A07"),
            json!("2026-03-24T15:00:00.5+01:00"),
            json!("x".repeat(5000)),
            json!([]),
            json!(["x", "x"]),
            json!({}),
        ];
        all.extend(others.into_iter().map(|other| {
            let mut changed = value.clone();
            *changed.pointer_mut(&at).unwrap() = other;
            changed
        }));
        let names: Vec<String> = match value.pointer(&at) {
            Some(Value::Object(members)) => members.keys().cloned().collect(),
            _ => continue,
        };
        for name in names {
            let mut changed = value.clone();
            changed.pointer_mut(&at).unwrap().as_object_mut().unwrap().remove(&name);
            all.push(changed);
        }
        let mut changed = value.clone();
        changed.pointer_mut(&at).unwrap()["unheard_of"] = json!(1);
        all.push(changed);
    }
    all
}

/// The pointers of a value and of all that is in it.
fn places(value: &Value, at: &str) -> Vec<String> {
    let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
    let mut all = vec![at.to_owned()];
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            all.extend(places(member, &format!("{at}/{}", escape(name))));
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| {
            all.extend(places(item, &format!("{at}/{index}")));
        }),
        _ => {}
    }
    all
}

#[tokio::test]
async fn bus_type_and_validator_have_one_verdict_and_nothing_accepted_is_changed() {
    let mut tally = Tally::default();
    macro_rules! of {
        ($($type:ty),* $(,)?) => { $(tally = tally.of::<$type>().await;)* };
    }
    of!(
        agent::FeedbackRequested,
        agent::StateChanged,
        artifact::FileIngested,
        calendar::CreateEvent,
        calendar::EventRescheduled,
        candystore::ReplayCompleted,
        candystore::ReplayEvents,
        conversation::MessagePosted,
        conversation::PostMessage,
        github::Issues,
        github::MergePullRequest,
        llm::CompletionFinished,
        llm::Prompt,
        task::PlanCreated,
        task::StepExecuted,
        task::StepProposed,
        theboard::CommentExtracted,
        theboard::MeetingCompleted,
        theboard::MeetingCreated,
        theboard::MeetingCreatedV2,
        theboard::MeetingFailed,
        theboard::MeetingStarted,
        theboard::RoundCompleted,
        theboard::StartMeeting,
        transcription::SegmentRecognized,
        transcription::SessionCompleted,
        transcription::TranscribeRecording,
    );
    assert_eq!(tally.contracts, contracts().bundle().contracts.len(), "a contract is missing here");
    assert!(tally.accepted > 700 && tally.refused > 7000, "{} {}", tally.accepted, tally.refused);
}
