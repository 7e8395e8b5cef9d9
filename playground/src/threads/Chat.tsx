import { Button, Center, Loader } from "@mantine/core"
import { useLocalStorage } from "@mantine/hooks"
import { IconMessageOff } from "@tabler/icons-react"
import { NotFoundError } from "openai"
import { useMemo, useState } from "react"
import { useTranslation } from "react-i18next"
import { Link, useLocation } from "react-router"
import { EmptyState } from "../app/EmptyState"
import { FaultNotice } from "../app/FaultNotice"
import classes from "./Chat.module.css"
import { Conversation } from "./Conversation"
import { textOf, titleOf } from "./entries"
import { Frame } from "./Frame"
import { InspectorPane } from "./InspectorPane"
import type { Written } from "./NewThread"
import type { Run, Thread } from "./objects"
import type { Source } from "./passages"
import { titled, useThread, useThreadNames } from "./queries"
import { SourceDrawer } from "./SourceDrawer"
import type { Snapshot } from "./session"
import { ThreadHead } from "./ThreadHead"
import { liveRun } from "./transcript"
import { type AssistantChoice, useAssistantChoice } from "./useAssistantChoice"
import { useSession } from "./useSession"

/** One thread: the conversation, and beside it what happened at the server. */
export function Chat({ id }: { id: string }) {
  const { t } = useTranslation("threads")
  const { data: thread, error, refetch } = useThread(id)
  if (error instanceof NotFoundError) {
    return (
      <EmptyState icon={IconMessageOff} title={t("missing.title")} text={t("missing.text")}>
        <Button component={Link} to="/threads" variant="default">
          {t("missing.back")}
        </Button>
      </EmptyState>
    )
  }
  if (error) return <FaultNotice error={error} onRetry={() => void refetch()} />
  if (!thread) return <Waiting />
  return <OpenThread thread={thread} />
}

function Waiting() {
  return (
    <Center h="100%">
      <Loader size="sm" />
    </Center>
  )
}

function OpenThread({ thread }: { thread: Thread }) {
  const { t } = useTranslation("threads")
  const written = useLocation().state as Written | null
  const [session, snapshot] = useSession(thread.id, written?.first ?? null)
  const { transcript, isLoaded, isBusy } = snapshot
  const lastRun = transcript.runs.at(-1)
  const choice = useAssistantChoice(lastRun?.assistant_id ?? null)
  const [isInspected, setInspected] = useLocalStorage({
    key: "adjutant.inspector",
    defaultValue: false,
    getInitialValueInEffect: false,
  })
  const [inspected, setInspectedRun] = useState<string | null>(null)
  const [source, setSource] = useState<Source | null>(null)
  const live = liveRun(transcript)
  const nameOf = useAssistantNames(choice)
  const name = useName(thread, snapshot)

  function inspect(run: Run) {
    setInspectedRun(run.id)
    setInspected(true)
  }

  return (
    <div className={classes.chat}>
      <Frame
        thread={thread.id}
        head={
          <ThreadHead
            thread={thread}
            name={name}
            choice={choice}
            isInspected={isInspected}
            onInspector={() => setInspected(!isInspected)}
          />
        }
        choice={choice}
        onSend={async (message) => choice.assistant !== null && session.send(message, choice.assistant.id)}
        onStop={live && live.status !== "cancelling" ? () => session.stop() : null}
        isWaiting={isBusy}
        isWriting={written !== null}
        placeholder={t(placeholderOf(live, choice))}
      >
        {isLoaded || snapshot.fault ? (
          <Conversation
            session={session}
            snapshot={snapshot}
            nameOf={nameOf}
            assistant={choice.assistant?.id ?? null}
            onSource={setSource}
            onInspect={inspect}
          />
        ) : (
          <Waiting />
        )}
      </Frame>
      <InspectorPane
        isOpen={isInspected}
        onClose={() => setInspected(false)}
        thread={thread}
        snapshot={snapshot}
        assistant={choice.assistant}
        chosen={inspected}
        onChoose={setInspectedRun}
      />
      <SourceDrawer
        source={source}
        thread={thread.id}
        stores={storesOf(choice)}
        onClose={() => setSource(null)}
      />
    </div>
  )
}

/** A thread's name, in which what has just been said in it counts, too. */
function useName(thread: Thread, { transcript, hasEarlier }: Snapshot): string {
  const one = useMemo(() => [thread], [thread])
  const known = useThreadNames(one).get(thread.id) ?? ""
  const first = hasEarlier ? undefined : transcript.messages[0]
  return titled(thread) || (first ? titleOf(textOf(first)) : known)
}

function useAssistantNames({ assistants }: AssistantChoice): (id: string | null) => string {
  const { t } = useTranslation("threads")
  return useMemo(() => {
    const names = new Map(assistants?.map(({ id, name }) => [id, name || t("head.unnamed")]))
    return (id) => (id === null ? t("conversation.assistant") : (names.get(id) ?? t("head.unknownAssistant")))
  }, [assistants, t])
}

function placeholderOf(live: Run | undefined, { assistants }: AssistantChoice) {
  if (assistants?.length === 0) return "new.noAssistantsTitle"
  return live?.status === "requires_action" ? "composer.waiting" : "composer.placeholder"
}

/** The vector stores that assistants search, whichever of them answered. */
function storesOf({ assistants }: AssistantChoice): string[] {
  const ids = assistants?.flatMap(({ tool_resources }) => tool_resources?.file_search?.vector_store_ids ?? [])
  return [...new Set(ids)]
}
