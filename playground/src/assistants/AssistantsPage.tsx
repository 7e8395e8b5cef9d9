import { Button, Group } from "@mantine/core"
import { IconFileSearch, IconMathFunction, IconPlus, IconRobotFace, IconTerminal2 } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { useNavigate, useParams } from "react-router"
import { EmptyState } from "../app/EmptyState"
import { type Entry, ListPanel } from "../app/ListPanel"
import { MasterDetail } from "../app/MasterDetail"
import { notifyFault } from "../app/notify"
import { AssistantEditor } from "./AssistantEditor"
import type { Assistant } from "./draft"
import { answering, useAssistants, useCreateAssistant, useModels } from "./queries"
import { type Starter, Starters } from "./Starters"

export function Component() {
  const { t } = useTranslation("assistants")
  const { assistantId } = useParams()
  const assistants = useAssistants()
  const create = useCreateFrom(assistants.data)
  const isFirstVisit = assistants.data?.length === 0 && !assistantId

  if (isFirstVisit) return <Starters onChoose={create.from} isBusy={create.isBusy} />
  return (
    <MasterDetail
      list={
        <ListPanel
          title={t("title")}
          searchLabel={t("search")}
          action={
            <Button
              size="xs"
              leftSection={<IconPlus size={15} aria-hidden />}
              loading={create.isBusy}
              onClick={() => create.from({})}
            >
              {t("new")}
            </Button>
          }
          entries={assistants.data?.map((assistant) => entryOf(assistant, t("untitled")))}
          list={assistants}
        />
      }
      detail={assistantId ? <AssistantEditor key={assistantId} id={assistantId} /> : null}
      placeholder={
        assistants.error ? null : (
          <EmptyState icon={IconRobotFace} title={t("choose.title")} text={t("choose.text")} />
        )
      }
    />
  )
}

function entryOf(assistant: Assistant, untitled: string): Entry {
  return {
    id: assistant.id,
    path: `/assistants/${assistant.id}`,
    title: assistant.name || untitled,
    isUntitled: !assistant.name,
    below: <Summary assistant={assistant} />,
    words: `${assistant.id} ${assistant.model} ${assistant.description ?? ""}`,
  }
}

function Summary({ assistant }: { assistant: Assistant }) {
  const { t } = useTranslation("assistants")
  const types = new Set(assistant.tools.map((tool) => tool.type))
  return (
    <>
      <span>{assistant.model}</span>
      <Group gap={4} wrap="nowrap" component="span">
        {types.has("file_search") && (
          <IconFileSearch size={14} role="img" aria-label={t("tools.fileSearch.name")} />
        )}
        {types.has("code_interpreter") && (
          <IconTerminal2 size={14} role="img" aria-label={t("tools.codeInterpreter.name")} />
        )}
        {types.has("function") && (
          <IconMathFunction size={14} role="img" aria-label={t("tools.functions.name")} />
        )}
      </Group>
    </>
  )
}

/** Makes an assistant with the model that was used last, or else the first one that the server has, and opens it. */
function useCreateFrom(assistants: Assistant[] | undefined) {
  const navigate = useNavigate()
  const models = useModels()
  const create = useCreateAssistant()

  async function from(starter: Starter) {
    const model = assistants?.[0]?.model ?? answering(models.data ?? [])[0] ?? "default"
    try {
      const assistant = await create.mutateAsync({ model, ...starter })
      await navigate(`/assistants/${assistant.id}`, { state: { isNew: true } })
    } catch (error) {
      notifyFault(error)
    }
  }

  return { from: (starter: Starter) => void from(starter), isBusy: create.isPending || models.isLoading }
}
