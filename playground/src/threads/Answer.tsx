import { ActionIcon, Group, Loader, Stack, Text, Tooltip } from "@mantine/core"
import { IconListSearch, IconRefresh } from "@tabler/icons-react"
import { useMemo } from "react"
import { useTranslation } from "react-i18next"
import classes from "./Answer.module.css"
import { Call } from "./Calls"
import { CopyText } from "./CopyText"
import { type Part, textOf } from "./entries"
import { FunctionForm } from "./FunctionForm"
import type { Run, RunStep } from "./objects"
import type { Source } from "./passages"
import { RunEnd } from "./RunEnd"
import type { ToolOutput } from "./requests"
import { Said } from "./Said"
import { isOver } from "./transcript"

interface Props {
  run: Run
  parts: readonly Part[]
  steps: readonly RunStep[]
  assistantName: string
  /** Whether something is being asked of the server for this thread. */
  isBusy: boolean
  onSource: (source: Source) => void
  onOutputs: (outputs: ToolOutput[]) => void
  onStop: () => void
  /** Null while the thread is busy. */
  onAgain: (() => void) | null
  onInspect: () => void
}

/** All that one run did. */
export function Answer(props: Props) {
  const { t } = useTranslation("threads")
  const { run, parts, steps, isBusy } = props
  const isLive = !isOver(run)
  const figures = useMemo(() => new Set(parts.flatMap(figuresOf)), [parts])
  const own = useMemo(() => steps.filter(({ run_id }) => run_id === run.id), [steps, run.id])
  const required =
    run.status === "requires_action" ? run.required_action?.submit_tool_outputs.tool_calls : null
  const isAwaited = (part: Part) => part.kind === "call" && required?.some(({ id }) => id === part.call.id)
  return (
    <article className={classes.answer} aria-label={props.assistantName}>
      <Text size="xs" fw={600} c="dimmed" aria-hidden>
        {props.assistantName}
      </Text>
      <Stack gap="sm">
        {parts
          .filter((part) => !isAwaited(part))
          .map((part, place) =>
            part.kind === "message" ? (
              <Said key={part.message.id} message={part.message} steps={own} onSource={props.onSource} />
            ) : (
              <Call
                key={part.call.id || place}
                call={part.call}
                step={part.step}
                isLive={isLive}
                figures={figures}
                onSource={props.onSource}
              />
            ),
          )}
        {required && (
          <FunctionForm
            key={required.map(({ id }) => id).join()}
            calls={required}
            isBusy={isBusy}
            onSubmit={props.onOutputs}
            onCancel={props.onStop}
          />
        )}
        {run.status === "completed" && parts.length === 0 && (
          <Text size="sm" c="dimmed">
            {t("conversation.quiet")}
          </Text>
        )}
        <RunEnd run={run} onAgain={props.onAgain} />
      </Stack>
      {isLive ? <AtWork run={run} parts={parts} /> : <Actions {...props} />}
    </article>
  )
}

function AtWork({ run, parts }: Pick<Props, "run" | "parts">) {
  const { t } = useTranslation("threads")
  if (run.status === "requires_action") return null
  return (
    <Group gap={8} className={classes.work ?? ""}>
      <Loader size={14} type="dots" aria-hidden />
      <Text size="xs" c="dimmed">
        {t(`status.${stageOf(run, parts)}`)}
      </Text>
    </Group>
  )
}

/** What a run that is at work does just now, in one word of the messages' `status`. */
export function stageOf(run: Run, parts: readonly Part[]) {
  if (run.status === "queued" || run.status === "cancelling" || run.status === "requires_action")
    return run.status
  const last = parts.at(-1)
  if (last?.kind === "message" && last.message.status === "in_progress") return "writing"
  if (last?.kind === "call" && last.step.status === "in_progress") {
    if (last.call.type === "code_interpreter") return "running"
    if (last.call.type === "file_search") return "searching"
  }
  return "thinking"
}

function Actions({ run, parts, onAgain, onInspect }: Props) {
  const { t } = useTranslation("threads")
  const text = parts
    .map((part) => (part.kind === "message" ? textOf(part.message) : ""))
    .join("\n\n")
    .trim()
  return (
    <Group gap={2} className={classes.actions ?? ""}>
      {text && <CopyText text={text} />}
      {/* A run that ended otherwise offers this where it says so. */}
      {onAgain && run.status === "completed" && (
        <Tooltip label={t("conversation.again")}>
          <ActionIcon variant="subtle" color="gray" onClick={onAgain} aria-label={t("conversation.again")}>
            <IconRefresh size={16} stroke={1.6} />
          </ActionIcon>
        </Tooltip>
      )}
      <Tooltip label={t("conversation.inspect")}>
        <ActionIcon variant="subtle" color="gray" onClick={onInspect} aria-label={t("conversation.inspect")}>
          <IconListSearch size={16} stroke={1.6} />
        </ActionIcon>
      </Tooltip>
    </Group>
  )
}

function figuresOf(part: Part): string[] {
  if (part.kind !== "message") return []
  return part.message.content.flatMap((each) => (each.type === "image_file" ? [each.image_file.file_id] : []))
}
