//! Templates in the styles of the families, written for these tests.

use super::*;

/// Opens and closes each message with words.
const LLAMA3: &str = r#"{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{{- "Today is " + strftime_now("%d %b %Y") + ".\n\n" }}
{{- system + "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"#;

/// Knows no system messages, calls the model by another name and wants turns to alternate.
const GEMMA: &str = r"{{ bos_token }}
{%- if messages[0]['role'] == 'system' %}{{ raise_exception('no system role here') }}{% endif %}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}
    {%- if message['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}
    {{- '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";

/// Carries state through the loop in a namespace, uses Python's methods, and opens the thought itself.
const DEEPSEEK: &str = r"{% set ns = namespace(system='') %}
{%- for message in messages %}
    {%- if message['role'] == 'system' %}{% set ns.system = ns.system + message['content'] %}{% endif %}
{%- endfor %}
{{- bos_token }}{{ ns.system }}
{%- for message in messages %}
    {%- if message['role'] == 'system' %}{% continue %}{% endif %}
    {%- if message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}{% endif %}
    {%- if message['role'] == 'assistant' and message['content'] is not none %}
        {%- set content = message['content'] %}
        {%- if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}
        {{- '<｜Assistant｜>' + content.strip() + eos_token }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}";

/// The system message goes in front of the last user message.
const MISTRAL: &str = r#"{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\n\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.get("role") == "assistant" %}
        {{- " " + message["content"] + eos_token }}
    {%- else %}
        {{- raise_exception("only user and assistant") }}
    {%- endif %}
{%- endfor %}"#;

/// Blocks on lines of their own: `trim_blocks` and `lstrip_blocks` decide what is left.
const BLOCKS: &str = "{% for message in messages %}
    {% if message.role != 'system' %}
<{{ message.role }}>{{ message.content }}
    {% endif %}
{% endfor %}
{% if not enable_thinking %}
<think></think>
{% endif %}
";

fn messages(said: &[(Speaker, &str)]) -> Vec<Message> {
    said.iter()
        .map(|&(speaker, text)| Message::new(speaker, text))
        .collect()
}

fn render(source: &str, said: &[(Speaker, &str)], think: bool) -> Result<String, String> {
    let template = Template::new(source, "<s>".to_owned(), "</s>".to_owned())?;
    let messages = messages(said);
    let messages: Vec<_> = messages.iter().collect();
    let pieces = template.render(&messages, think)?;
    let words: Vec<_> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Words(words) => Some(words.as_str()),
            Piece::Template(_) => None,
        })
        .collect();
    for (_, text) in said {
        assert!(words.contains(text), "{text:?} is not apart: {pieces:?}");
    }
    Ok(pieces.iter().map(Piece::text).collect())
}

#[test]
fn families_lay_conversations_out_in_their_ways() {
    use Speaker::{Assistant, System, User};
    let said = [
        (System, "Be kind. "),
        (User, "{{ 7 * 7 }}"),
        (Assistant, "{% raw %}"),
        (User, "<|im_end|>?"),
    ];
    let today = strftime_now("%d %b %Y").expect("a date");
    let cases = [
        (
            CHATML,
            "<|im_start|>system\nBe kind. <|im_end|>\n<|im_start|>user\n{{ 7 * 7 }}<|im_end|>\n\
             <|im_start|>assistant\n{% raw %}<|im_end|>\n<|im_start|>user\n<|im_end|>?<|im_end|>\n\
             <|im_start|>assistant\n"
                .to_owned(),
        ),
        (
            LLAMA3,
            format!(
                "<s><|start_header_id|>system<|end_header_id|>\n\nToday is {today}.\n\nBe kind. <|eot_id|>\
                 <|start_header_id|>user<|end_header_id|>\n\n{{{{ 7 * 7 }}}}<|eot_id|>\
                 <|start_header_id|>assistant<|end_header_id|>\n\n{{% raw %}}<|eot_id|>\
                 <|start_header_id|>user<|end_header_id|>\n\n<|im_end|>?<|eot_id|>\
                 <|start_header_id|>assistant<|end_header_id|>\n\n"
            ),
        ),
        (
            GEMMA,
            "<s><start_of_turn>user\nBe kind. \n\n{{ 7 * 7 }}<end_of_turn>\n\
             <start_of_turn>model\n{% raw %}<end_of_turn>\n\
             <start_of_turn>user\n<|im_end|>?<end_of_turn>\n<start_of_turn>model\n"
                .to_owned(),
        ),
        (
            DEEPSEEK,
            "<s>Be kind. <｜User｜>{{ 7 * 7 }}<｜Assistant｜>{% raw %}</s><｜User｜><|im_end|>?\
             <｜Assistant｜><think>\n"
                .to_owned(),
        ),
        (
            MISTRAL,
            "<s>[INST] {{ 7 * 7 }}[/INST] {% raw %}</s>[INST] Be kind. \n\n<|im_end|>?[/INST]"
                .to_owned(),
        ),
    ];
    for (source, expect) in cases {
        assert_eq!(render(source, &said, true).as_deref(), Ok(expect.as_str()));
    }
}

#[test]
fn blocks_leave_no_lines_and_thinking_can_be_switched_off() {
    let said = [(Speaker::User, "a")];
    assert_eq!(render(BLOCKS, &said, true).as_deref(), Ok("<user>a\n"));
    assert_eq!(
        render(BLOCKS, &said, false).as_deref(),
        Ok("<user>a\n<think></think>\n")
    );
}

#[test]
fn what_does_not_render_says_why() {
    let said = [(Speaker::User, "a")];
    let cases = [
        ("{% if %}", "unexpected"),
        ("{{ raise_exception('not today') }}", "not today"),
        (
            "{{ messages[0].content }}{{ messages[0].content }}",
            "repeats",
        ),
        ("hello", "leaves out"),
        (
            "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
            "fuel",
        ),
        ("{{ open('/etc/passwd') }}", "unknown"),
        ("{{ strftime_now('%Q!') }}", "strftime"),
    ];
    for (source, expect) in cases {
        let error = render(source, &said, true).expect_err(source);
        assert!(error.contains(expect), "{source}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
