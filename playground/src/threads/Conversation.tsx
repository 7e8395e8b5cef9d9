import { ActionIcon, Button, Center, VisuallyHidden } from "@mantine/core"
import { IconArrowDown } from "@tabler/icons-react"
import { type ReactNode, useMemo } from "react"
import { useTranslation } from "react-i18next"
import { useStickToBottom } from "use-stick-to-bottom"
import { FaultNotice } from "../app/FaultNotice"
import { Answer, stageOf } from "./Answer"
import classes from "./Conversation.module.css"
import { conversation, textOf } from "./entries"
import type { Run } from "./objects"
import type { Source } from "./passages"
import { Question } from "./Question"
import type { Snapshot, ThreadSession } from "./session"
import { isOver, liveRun } from "./transcript"

interface Props {
  session: ThreadSession
  snapshot: Snapshot
  nameOf: (assistant: string) => string
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
  const isFree = !isBusy && !liveRun(transcript) && assistant !== null
  return (
    <div className={classes.around}>
      <section
        ref={scrollRef}
        className={classes.scroll}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no pointer scrolls it by its keys
        tabIndex={0}
        aria-label={t("conversation.label")}
      >
        <div ref={contentRef} className={classes.content}>
          {hasEarlier && (
            <Center>
              <Button variant="subtle" size="xs" disabled={isBusy} onClick={() => void session.showEarlier()}>
                {t("conversation.earlier")}
              </Button>
            </Center>
          )}
          {entries.map((entry) =>
            entry.kind === "message" ? (
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
          {fault && <FaultNotice error={fault.error} onRetry={fault.again} />}
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

/**
 * What a screen reader says: the stage of the run, and then the answer, once and whole. To read it out as it streams
 * would begin anew with each word.
 */
function useAnnouncement({ transcript, arrivals }: Snapshot): string {
  const { t } = useTranslation("threads")
  const last = useMemo(() => conversation(transcript).at(-1), [transcript])
  // What was said before the thread was opened is read like any text.
  if (last?.kind !== "answer" || !arrivals.has(last.run.id)) return ""
  if (!isOver(last.run)) return t(`status.${stageOf(last.run, last.parts)}`)
  const said = last.parts.map((part) => (part.kind === "message" ? textOf(part.message) : ""))
  return [t("status.done"), ...said].join(" ")
}

function Spoken({ children }: { children: ReactNode }) {
  return (
    <VisuallyHidden role="status" aria-live="polite">
      {children}
    </VisuallyHidden>
  )
}
