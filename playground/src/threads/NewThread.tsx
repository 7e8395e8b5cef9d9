import { Button, Loader, Stack, Text, Title } from "@mantine/core"
import { IconRobotFace } from "@tabler/icons-react"
import { useState } from "react"
import { useTranslation } from "react-i18next"
import { Link, useNavigate } from "react-router"
import { api } from "../api/client"
import { EmptyState } from "../app/EmptyState"
import { FaultNotice } from "../app/FaultNotice"
import { BackToList } from "../app/MasterDetail"
import { AssistantSelect } from "./AssistantSelect"
import { titleOf } from "./entries"
import { Frame } from "./Frame"
import classes from "./NewThread.module.css"
import { useKeepThread } from "./queries"
import { createMessage, type NewMessage } from "./requests"
import headClasses from "./ThreadHead.module.css"
import { useAssistantChoice } from "./useAssistantChoice"

/** The router's state on the page of a thread that has just been written to. */
export interface Written {
  /** The assistant that is to answer first. */
  readonly first: string
}

/** A conversation before its first message, with which its thread begins. */
export function NewThread({ assistant: usual }: { assistant: string | null }) {
  const { t } = useTranslation("threads")
  const choice = useAssistantChoice(usual)
  const [fault, setFault] = useState<unknown>(null)
  const navigate = useNavigate()
  const keep = useKeepThread()
  const { assistants, assistant } = choice

  async function send(message: NewMessage): Promise<boolean> {
    if (!assistant) return false
    setFault(null)
    try {
      const thread = await api().beta.threads.create({ metadata: titleFor(message) })
      await createMessage(thread.id, message)
      keep(thread)
      // The thread's own page lets it be answered, and shows why where it cannot be.
      await navigate(`/threads/${thread.id}`, { state: { first: assistant.id } satisfies Written })
      return true
    } catch (error) {
      setFault(error)
      return false
    }
  }

  if (assistants?.length === 0) {
    return (
      <EmptyState icon={IconRobotFace} title={t("new.noAssistantsTitle")} text={t("new.noAssistantsText")}>
        <Button component={Link} to="/assistants">
          {t("new.createAssistant")}
        </Button>
      </EmptyState>
    )
  }
  return (
    <Frame
      thread="new"
      head={
        <header className={headClasses.head}>
          <BackToList to="/threads" />
          <div className={headClasses.names}>
            <Text component="h1" fw={600} className={headClasses.name ?? ""}>
              {t("list.new")}
            </Text>
            <AssistantSelect
              assistants={assistants ?? []}
              chosen={assistant?.id ?? null}
              onChoose={choice.choose}
            />
          </div>
        </header>
      }
      choice={choice}
      onSend={send}
      onStop={null}
      isWaiting={false}
      isWriting
      placeholder={t("composer.placeholder")}
    >
      <Stack className={classes.welcome ?? ""} align="center" justify="center" gap={6}>
        <Title order={2} size="h2" ta="center">
          {t("new.title")}
        </Title>
        {assistant ? (
          <Text c="dimmed" ta="center">
            {t("new.with", { name: assistant.name || t("head.unnamed") })}
          </Text>
        ) : (
          !choice.error && <Loader size="sm" />
        )}
        {assistant?.description && (
          <Text c="dimmed" size="sm" ta="center" maw={480}>
            {assistant.description}
          </Text>
        )}
        {choice.error ? <FaultNotice error={choice.error} onRetry={() => void choice.refetch()} /> : null}
        {fault ? <FaultNotice error={fault} /> : null}
      </Stack>
    </Frame>
  )
}

function titleFor({ text }: NewMessage): { title: string } | undefined {
  return text ? { title: titleOf(text) } : undefined
}
