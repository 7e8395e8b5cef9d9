import { ActionIcon, Button, Center, Stack, VisuallyHidden } from "@mantine/core"
import { IconArrowDown } from "@tabler/icons-react"
import { type ReactNode, useMemo } from "react"
import { useTranslation } from "react-i18next"
import { useStickToBottom } from "use-stick-to-bottom"
import { faultOf, isWorthRetrying } from "../api/errors"
import { FaultNotice } from "../app/FaultNotice"
import { Answer, stageOf } from "./Answer"
import classes from "./Conversation.module.css"
import { conversation } from "./entries"
import type { Run } from "./objects"
import type { Source } from "./passages"
import { Question } from "./Question"
import type { SessionFault, Snapshot, ThreadSession } from "./session"
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
  const live = liveRun(transcript)
  const isFree = !isBusy && !live && assistant !== null
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
