//! What a cosine means, which every embedding model has its own idea of.

/// Questions with the passages that answer them, in several languages and of many subjects. What a model thinks of
/// the right and of the wrong pairs tells [`Meaning::learn`] what its cosines mean.
pub const KNOWN_ANSWERS: [(&str, &str); 12] = [
    (
        "How long can fresh milk be kept in the fridge?",
        "Once opened, fresh milk stays good for three to five days in the refrigerator, if it is kept below seven \
         degrees and the bottle is closed after each use.",
    ),
    (
        "What does the insurance pay after a burglary?",
        "Household insurance replaces stolen goods at their price when new and pays for broken doors and windows. The \
         theft has to be reported to the police within three days.",
    ),
    (
        "reset a forgotten password",
        "If you can no longer log in, choose the link below the login form. You get a message with a code, with which \
         you can set a new password within one hour.",
    ),
    (
        "Which trees grow well in dry soil?",
        "Pines, junipers and most oaks have deep roots and do well where there is little rain. Willows and alders need \
         wet ground.",
    ),
    (
        "연차 휴가는 며칠인가요?",
        "일 년 동안 80퍼센트 이상 출근한 직원에게는 유급 휴가 15일을 준다. 쓰지 않은 휴가는 다음 해 3월까지 쓸 수 있다.",
    ),
    (
        "프린터에 종이가 걸렸을 때",
        "용지가 끼면 전원을 끄고 뒤쪽 덮개를 연 다음 종이를 천천히 당겨 꺼냅니다. 찢어진 조각이 남지 않았는지 확인하세요.",
    ),
    ("지하철 막차 시간", "평일 마지막 열차는 자정에 출발하며 주말과 공휴일에는 밤 11시 반까지 운행합니다."),
    (
        "返品の送料は誰が払いますか",
        "商品に問題があった場合の返送料は当店が負担します。お客様のご都合による返品の場合は、送料をご負担ください。",
    ),
    (
        "怎样预防感冒",
        "勤洗手、保证睡眠、经常开窗通风，可以减少着凉和感染的机会。冬季到来之前可以接种流感疫苗。",
    ),
    (
        "Wie hoch ist der Eiffelturm?",
        "Mit seinen Antennen misst das Pariser Bauwerk aus dem Jahr 1889 heute 330 Meter. Drei Plattformen sind für \
         Besucher geöffnet.",
    ),
    (
        "Comment cuire un œuf mollet ?",
        "Plongez-le dans l'eau bouillante pendant six minutes, puis passez-le sous l'eau froide avant de retirer la \
         coquille avec soin.",
    ),
    (
        "¿Quién escribió el contrato de alquiler?",
        "El documento fue redactado por la abogada de la propietaria y firmado por ambas partes el primero de mayo.",
    ),
];

/// The best answers in a store are nearer than the known ones, by about as much as those are nearer than wrong ones.
const ROOM: f64 = 2.0;
/// Makes little of cosines that are hardly above those of unrelated texts, for a store has many of them.
const STEEPNESS: f64 = 1.5;

/// What the cosines of one embedding model mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Meaning {
    /// Up to this cosine texts have nothing to do with each other.
    unrelated: f64,
    /// From this one on no better answer is to be expected.
    answer: f64,
}

impl Meaning {
    /// Learns from what a model gives for [`KNOWN_ANSWERS`]: the questions' vectors, as queries, and those of the
    /// passages, in order. None if there are not as many, or if the model finds right pairs no nearer than wrong
    /// ones.
    pub fn learn(questions: &[Vec<f32>], passages: &[Vec<f32>]) -> Option<Self> {
        if questions.len() != KNOWN_ANSWERS.len() || passages.len() != KNOWN_ANSWERS.len() {
            return None;
        }
        let (mut right, mut wrong) = (Vec::new(), Vec::new());
        for (at, question) in questions.iter().enumerate() {
            for (passage_at, passage) in passages.iter().enumerate() {
                let pairs = if at == passage_at { &mut right } else { &mut wrong };
                pairs.push(cosine(question, passage));
            }
        }
        let (right, _) = mean_and_deviation(&right);
        let (wrong, deviation) = mean_and_deviation(&wrong);
        let unrelated = wrong + deviation;
        Self::new(unrelated, unrelated + (right - unrelated) * ROOM)
    }

    /// From known cosines: of texts that have nothing to do with each other, and of the best answers. None unless
    /// the second is the greater.
    pub fn new(unrelated: f64, answer: f64) -> Option<Self> {
        (answer > unrelated).then_some(Self { unrelated, answer })
    }

    /// What a cosine is worth, from 0 to 1.
    pub fn score(&self, cosine: f64) -> f64 {
        let share = (cosine - self.unrelated) / (self.answer - self.unrelated);
        share.clamp(0.0, 1.0).powf(STEEPNESS)
    }
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let dot = |one: &[f32], other: &[f32]| -> f64 {
        one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
    };
    let lengths = (dot(one, one) * dot(other, other)).sqrt();
    if lengths > 0.0 { dot(one, other) / lengths } else { 0.0 }
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}
