import { Center, Loader, Stack } from "@mantine/core"
import { useMemo, useRef } from "react"
import { useTranslation } from "react-i18next"
import { useLocation, useNavigate } from "react-router"
import { FaultNotice } from "../app/FaultNotice"
import { LeaveGuard } from "../app/LeaveGuard"
import { BackToList } from "../app/MasterDetail"
import { useAutosave } from "../app/useAutosave"
import classes from "./AssistantEditor.module.css"
import { type Assistant, changesBetween, type Draft, draftOf, problemsOf } from "./draft"
import { AnswerSettings } from "./editor/AnswerSettings"
import { CodeInterpreterTool } from "./editor/CodeInterpreterTool"
import { EditorHeader } from "./editor/EditorHeader"
import { FileSearchTool } from "./editor/FileSearchTool"
import { FunctionTools } from "./editor/FunctionTools"
import { Identity } from "./editor/Identity"
import { MetadataFields } from "./editor/MetadataFields"
import { Section } from "./editor/Section"
import { useProblemWords } from "./problems"
import { useFreshAssistant, useSaveAssistant } from "./queries"

/** Loads an assistant and lets it be changed. */
export function AssistantEditor({ id }: { id: string }) {
  const { t } = useTranslation()
  const { data, error, isFetchedAfterMount, refetch } = useFreshAssistant(id)
  // Once the editor is open, what is written in it counts, whatever a later reading brings.
  const opened = useRef<Assistant | undefined>(undefined)
  if (isFetchedAfterMount && !error) opened.current ??= data
  if (opened.current) return <Editor assistant={opened.current} />
  if (error) {
    return (
      <Stack p="lg">
        <BackToList to="/assistants" />
        <FaultNotice error={error} onRetry={() => void refetch()} />
      </Stack>
    )
  }
  return (
    <Center h="100%">
      <Loader aria-label={t("loading")} />
    </Center>
  )
}

/** What each part of the editor needs: what is there, how to change it, what is wrong with it. */
export interface PartProps {
  draft: Draft
  change: (changes: Partial<Draft>) => void
  problem: (field: string) => string | undefined
}

function Editor({ assistant }: { assistant: Assistant }) {
  const { t } = useTranslation("assistants")
  const navigate = useNavigate()
  const isNew = useLocation().state?.isNew === true
  const words = useProblemWords()
  const send = useSaveAssistant(assistant.id)
  const saved = useRef(draftOf(assistant))

  const { value, change, saving, flush } = useAutosave(
    saved.current,
    async (draft) => {
      await send(changesBetween(saved.current, draft))
      saved.current = draft
    },
    (draft) => problemsOf(draft).map(words)[0] ?? null,
  )

  // Uploads change the draft long after the render that began them.
  const latest = useRef(value)
  latest.current = value
  const problems = useMemo(() => problemsOf(value), [value])
  const part: PartProps = {
    draft: value,
    change(changes) {
      latest.current = { ...latest.current, ...changes }
      change(latest.current)
    },
    problem(field) {
      const problem = problems.find((candidate) => candidate.field === field)
      return problem && words(problem)
    },
  }

  async function tryIt() {
    await flush()
    await navigate(`/threads?assistant=${assistant.id}`)
  }

  return (
    <div className={classes.editor}>
      <LeaveGuard saving={saving} />
      <EditorHeader
        assistant={assistant}
        name={value.name}
        saving={saving}
        onRetry={() => void flush()}
        onTry={() => void tryIt()}
        beforeCopy={flush}
      />
      <div className={classes.parts}>
        <Identity {...part} isNew={isNew} />
        <Section title={t("tools.title")}>
          <FileSearchTool {...part} />
          <CodeInterpreterTool {...part} />
          <FunctionTools {...part} />
        </Section>
        <Section title={t("answers.title")}>
          <AnswerSettings {...part} />
        </Section>
        <Section title={t("metadata.title")} text={t("metadata.text")}>
          <MetadataFields {...part} />
        </Section>
      </div>
    </div>
  )
}
