//! What a small model needs where its assistant was told to run code. Each was measured with the built-in model.

use crate::upstream::chat::{ChatRequest, ChatToolChoice, Code, question};

/// Where there is nothing to run code, small models make up what it printed. With this sentence behind the
/// instructions they work the answer out.
const WITHOUT_CODE: &str =
    "No code can be run in this conversation. Work out the answer step by step in words.";

/// Says that there is no code, or has the model write some for a question with a number in it: it calculates
/// wrongly, does not know that, and rarely calls what it might. Asked to write code it writes it rightly.
pub fn help_with_code(request: &mut ChatRequest) {
    match &request.code {
        Code::Whatever => {}
        Code::Lacking => request.append_instructions(WITHOUT_CODE),
        Code::Offered(function) if request.tool_choice.is_none() && asks_about_numbers(request) => {
            request.tool_choice = Some(ChatToolChoice::Function(function.clone()));
        }
        Code::Offered(_) => {}
    }
}

fn asks_about_numbers(request: &ChatRequest) -> bool {
    question(&request.messages).chars().any(char::is_numeric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::chat::{ChatContent, ChatMessage};

    fn request(question: &str, code: Code) -> ChatRequest {
        let content = ChatContent::Text(question.to_owned());
        ChatRequest { messages: vec![ChatMessage::User { content }], code, ..ChatRequest::default() }
    }

    #[test]
    fn questions_with_numbers_are_answered_by_code() {
        for (question, forced) in [("3x + 11 = 14", true), ("３ 더하기 ４", true), ("한국의 수도는?", false)]
        {
            let mut request = request(question, Code::Offered("run".to_owned()));
            help_with_code(&mut request);
            let choice = forced.then(|| ChatToolChoice::Function("run".to_owned()));
            assert_eq!(request.tool_choice, choice, "{question}");
        }
        let mut free = request("3x + 11 = 14", Code::Whatever);
        help_with_code(&mut free);
        assert_eq!((free.tool_choice, free.messages.len()), (None, 1));
        let mut lacking = request("3x + 11 = 14", Code::Lacking);
        help_with_code(&mut lacking);
        assert_eq!(lacking.tool_choice, None);
        assert!(matches!(&lacking.messages[0], ChatMessage::System { content } if content == WITHOUT_CODE));
    }
}
