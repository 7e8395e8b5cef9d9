import { ActionIcon, Button, Center, Stack, Text, VisuallyHidden } from "@mantine/core"
import { IconArrowDown } from "@tabler/icons-react"
import { type ReactNode, useMemo } from "react"
import { useTranslation } from "react-i18next"
import { useStickToBottom } from "use-stick-to-bottom"
import { faultOf, isWorthRetrying } from "../api/errors"
import { FaultNotice } from "../app/FaultNotice"
import { Answer, stageOf } from "./Answer"
import answerClasses from "./Answer.module.css"
import classes from "./Conversation.module.css"
import { conversation } from "./entries"
import type { Message, Run } from "./objects"
import type { Source } from "./passages"
import { Question } from "./Question"
import { Said } from "./Said"
import type { SessionFault, Snapshot, ThreadSession } from "./session"
import { isOver, liveRun } from "./transcript"

interface Props {
  session: ThreadSession
  snapshot: Snapshot
  nameOf: (assistant: string | null) => string
  /** Who answers what is said anew; null while there is nobody. */
  assistant: string | null
  onSource: (source: Source) => void
  onInspect: (run: Run) => void
}

/** What was said in a thread, and what is being said. */
export function Conversation({ session, snapshot, nameOf, assistant, onSource, onInspect }: Props) {
  const { t } = useTranslation("threads")
  const { transcript, isBusy, hasEarlier, fault } = snapshot
  const { scrollRef, contentRef, isAtBottom, scrollToBottom } = useStickToBottom({
    initial: "instant",
    resize: "instant",
  })
  const entries = useMemo(() => conversation(transcript), [transcript])
  const live = liveRun(transcript)
  const isFree = !isBusy && !live && assistant !== null

  /** What was in view stays there, though it moves down. */
  async function showEarlier() {
    const { current: view } = scrollRef
    const below = view ? view.scrollHeight - view.scrollTop : 0
    await session.showEarlier()
    if (view) view.scrollTop = view.scrollHeight - below
  }

  return (
    <div className={classes.around}>
      <section
        ref={scrollRef}
        className={classes.scroll}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no pointer scrolls it by its keys
        tabIndex={0}
        aria-label={t("conversation.label")}
      >
        {/* What streams in is read out once it is whole; to read it as it grows would begin anew with each word. */}
        <div ref={contentRef} className={classes.content} role="log" aria-busy={live !== undefined}>
          {hasEarlier && (
            <Center>
              <Button variant="subtle" size="xs" disabled={isBusy} onClick={() => void showEarlier()}>
                {t("conversation.earlier")}
              </Button>
            </Center>
          )}
          {entries.map((entry) =>
            entry.kind === "message" && entry.message.role === "assistant" ? (
              <Line
                key={entry.message.id}
                message={entry.message}
                name={nameOf(entry.message.assistant_id)}
                onSource={onSource}
              />
            ) : entry.kind === "message" ? (
              <Question
                key={entry.message.id}
                message={entry.message}
                onResend={isFree ? (changed) => void session.resend(entry.message, changed, assistant) : null}
              />
            ) : (
              <Answer
                key={entry.run.id}
                run={entry.run}
                parts={entry.parts}
                steps={transcript.steps}
                assistantName={nameOf(entry.run.assistant_id)}
                isBusy={isBusy}
                onSource={onSource}
                onOutputs={(outputs) => void session.submit(entry.run, outputs)}
                onStop={() => session.stop()}
                onAgain={isFree ? () => void session.askAgain(entry.run, assistant) : null}
                onInspect={() => onInspect(entry.run)}
              />
            ),
          )}
          {fault && <Fault fault={fault} onReload={() => session.open()} />}
          {isFree && !fault && entries.at(-1)?.kind === "message" && (
            <Center>
              <Button variant="default" size="xs" onClick={() => void session.run(assistant)}>
                {t("conversation.answer")}
              </Button>
            </Center>
          )}
        </div>
      </section>
      <Spoken>{useAnnouncement(snapshot)}</Spoken>
      {!isAtBottom && (
        <ActionIcon
          className={classes.toEnd ?? ""}
          variant="default"
          radius="xl"
          size={36}
          onClick={() => void scrollToBottom("instant")}
          aria-label={t("conversation.toEnd")}
        >
          <IconArrowDown size={18} />
        </ActionIcon>
      )}
    </div>
  )
}

/** An assistant's line that no run is known for: a program wrote it, or its run is further back. */
function Line({ message, name, onSource }: { message: Message; name: string; onSource: Props["onSource"] }) {
  return (
    <article className={answerClasses.answer} aria-label={name}>
      <Text size="xs" fw={600} c="dimmed" aria-hidden>
        {name}
      </Text>
      <Said message={message} steps={NO_STEPS} onSource={onSource} />
    </article>
  )
}

const NO_STEPS: never[] = []

function Fault({ fault, onReload }: { fault: SessionFault; onReload: () => void }) {
  const { t } = useTranslation("threads")
  return (
    <Stack gap="xs" align="flex-start">
      <FaultNotice error={fault.error} onRetry={fault.again ?? undefined} />
      {/* What is refused is, most often, what another program has changed meanwhile. */}
      {!isWorthRetrying(faultOf(fault.error)) && (
        <Button variant="default" size="xs" onClick={onReload}>
          {t("conversation.reload")}
        </Button>
      )}
    </Stack>
  )
}

/** What the run does just now, for those who do not see it. */
function useAnnouncement({ transcript, arrivals }: Snapshot): string {
  const { t } = useTranslation("threads")
  const last = useMemo(() => conversation(transcript).at(-1), [transcript])
  // What was said before the thread was opened is read like any text.
  if (last?.kind !== "answer" || !arrivals.has(last.run.id)) return ""
  return t(`status.${isOver(last.run) ? "done" : stageOf(last.run, last.parts)}`)
}

function Spoken({ children }: { children: ReactNode }) {
  return (
    <VisuallyHidden role="status" aria-live="polite">
      {children}
    </VisuallyHidden>
  )
}
