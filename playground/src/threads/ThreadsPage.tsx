import { useTranslation } from "react-i18next"
import { useParams, useSearchParams } from "react-router"
import { MasterDetail } from "../app/MasterDetail"
import { Chat } from "./Chat"
import { NewThread } from "./NewThread"
import { useThreads } from "./queries"
import { ThreadList } from "./ThreadList"
import classes from "./ThreadsPage.module.css"

/** In place of an id: a thread that begins with its first message. No id of the API is this word. */
const NEW = "new"

export function Component() {
  const { t } = useTranslation("threads")
  const { threadId } = useParams()
  const [search] = useSearchParams()
  const assistant = search.get("assistant")
  const { data: threads } = useThreads()
  // Where there is no list to choose from, a phone shows at once where to begin.
  const hasNone = threads === null || threads?.length === 0
  const isNew = threadId === NEW || assistant !== null || (hasNone && threadId === undefined)
  const begin = <NewThread key={assistant} assistant={assistant} />
  return (
    <MasterDetail
      list={
        <>
          <a className={classes.skip} href="#conversation">
            {t("conversation.skip")}
          </a>
          <ThreadList />
        </>
      }
      detail={isNew ? begin : threadId ? <Chat key={threadId} id={threadId} /> : null}
      placeholder={begin}
    />
  )
}
