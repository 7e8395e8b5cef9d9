from openai import OpenAI
client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="anything")
assistant = client.beta.assistants.create(
    name="Math Tutor",
    instructions="You are a personal math tutor. Write and run code to answer math questions.",
    tools=[{"type": "code_interpreter"}], model="gpt-4-turbo")
print(assistant)
thread = client.beta.threads.create()
print(thread)
client.beta.threads.messages.create(thread.id, role="user", content="3x + 11 = 14. What is x?")
run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
print(client.beta.threads.messages.list(thread.id).data[0].content[0].text.value)
with client.beta.threads.runs.stream(thread_id=client.beta.threads.create(
        messages=[{"role": "user", "content": "한국의 수도는?"}]).id, assistant_id=assistant.id) as s:
    for text in s.text_deltas: print(text, end="")
