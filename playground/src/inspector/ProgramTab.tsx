import { SegmentedControl, Stack, Text } from "@mantine/core"
import { useLocalStorage } from "@mantine/hooks"
import { useTranslation } from "react-i18next"
import type { Assistant } from "../assistants/draft"
import { useFilesById } from "../files/queries"
import { CodeBlock } from "../markdown/CodeBlock"
import type { Message, Run, Thread } from "../threads/objects"
import type { Transcript } from "../threads/transcript"
import {
  createAssistant,
  createMessage,
  createRun,
  createThreadAndRun,
  downloadFile,
  listMessages,
  listModelRequests,
  listSteps,
  readBy,
  submitOutputs,
} from "./calls"
import { type ApiCall, LANGUAGES, type Language, program } from "./snippets"

interface Props {
  thread: Thread
  transcript: Transcript
  run: Run | undefined
  assistant: Assistant | null
}

const NAMES: Record<Language, string> = { python: "Python", node: "Node", curl: "curl" }
const HIGHLIGHTED: Record<Language, string> = { python: "python", node: "javascript", curl: "bash" }

/** What the screen shows, as programs that do the same. */
export function ProgramTab(props: Props) {
  const { t } = useTranslation("inspector")
  const [language, setLanguage] = useLocalStorage<Language>({
    key: "adjutant.snippets",
    defaultValue: "python",
    getInitialValueInEffect: false,
  })
  const names = useFilesById()
  const parts = partsOf(props, (id) => names.get(id)?.filename.split("/").at(-1) ?? id)
  return (
    <Stack gap="md">
      <SegmentedControl
        size="xs"
        fullWidth
        aria-label={t("program.language")}
        data={LANGUAGES.map((each) => ({ value: each, label: NAMES[each] }))}
        value={language}
        onChange={setLanguage}
      />
      <Text size="xs" c="dimmed">
        {t("program.key")}
      </Text>
      {parts.map(({ name, call }, place) => (
        <CodeBlock
          key={place}
          title={t(`program.${name}`)}
          code={program(language, [call], `${location.origin}/v1`)}
          language={HIGHLIGHTED[language]}
          maxHeight={320}
        />
      ))}
    </Stack>
  )
}

type Name = "all" | "assistant" | "message" | "run" | "outputs" | "steps" | "messages" | "requests" | "file"

function partsOf({ thread, transcript, run, assistant }: Props, nameOf: (file: string) => string) {
  const parts: { name: Name; call: ApiCall | null | undefined }[] = []
  const add = (name: Name, call: ApiCall | null | undefined) => parts.push({ name, call })
  if (run) {
    const read = readBy(run, transcript.messages)
    const steps = transcript.steps.filter(({ run_id }) => run_id === run.id)
    const question = read.findLast(({ role }) => role === "user")
    add("all", createThreadAndRun(run, read))
    add("message", question && createMessage(question))
    add("run", createRun(run))
    add("outputs", submitOutputs(run, steps))
    add("steps", listSteps(run))
    add("requests", listModelRequests(run))
    const own = transcript.messages.filter(({ run_id }) => run_id === run.id)
    for (const file of new Set(own.flatMap(filesOf))) add("file", downloadFile(file, nameOf(file)))
  }
  add("messages", listMessages(thread))
  add("assistant", assistant && createAssistant(assistant))
  return parts.flatMap(({ name, call }) => (call ? [{ name, call }] : []))
}

function filesOf({ content, attachments }: Message): string[] {
  const pictures = content.flatMap((part) => (part.type === "image_file" ? [part.image_file.file_id] : []))
  return [...pictures, ...(attachments ?? []).flatMap(({ file_id }) => (file_id ? [file_id] : []))]
}
